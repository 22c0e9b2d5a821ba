"""The C side: kernels, link library, device application, PlatformIO platform. Shipped as data."""
