"""Networks in torch: what training builds and exports."""
