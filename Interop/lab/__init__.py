"""The interop lab: two gateways, two network namespaces, one wire."""
