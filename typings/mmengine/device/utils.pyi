DEVICE: str
