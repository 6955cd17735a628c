"""A scripted IKEv2 initiator that speaks as the clients of Windows, Apple and Android do. See README.md."""
