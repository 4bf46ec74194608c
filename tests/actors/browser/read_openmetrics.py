"""Reads a file as OpenMetrics, with the reader of Prometheus' own Python client: exit code 0 if it understands every line, and
finds what the observer always tells; 1 if not; 77 if the client is not installed. Debian's python3-prometheus-client."""
import sys

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
try:
    families = {family.name: family for family in text_string_to_metric_families(text)}
except ValueError as why:
    print(f"no OpenMetrics: {why}", file=sys.stderr)
    sys.exit(1)
wanted = {
    "coppice_node_up": "gauge",
    "coppice_actors": "gauge",
    "coppice_messages_received": "counter",
    "coppice_restarts": "counter",
    "coppice_node_answer_seconds": "histogram",
}
for name, kind in wanted.items():
    if name not in families or families[name].type != kind or not families[name].samples:
        print(f"{name} is not there as a {kind}", file=sys.stderr)
        sys.exit(1)
