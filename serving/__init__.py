"""The KServe model server: HTTP and gRPC on one side, `marquee.answering` on the other."""
