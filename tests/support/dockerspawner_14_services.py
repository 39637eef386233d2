"""Options of services that DockerSpawner 14 and this package are asked to make."""

from __future__ import annotations

from typing import Any

SERVICES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "limits": {"mem_limit": "2G", "cpu_limit": 1.5, "mem_guarantee": "1G", "cpu_guarantee": 0.5},
    "no limits": {"mem_limit": 0, "cpu_limit": 0.0},
    "a network": {"network_name": "hub"},
    "a published port": {"use_internal_ip": False, "port": 9999},
    "a published port that is said": {
        "use_internal_ip": False,
        "extra_endpoint_spec": {"ports": {30000: (8888, "tcp", "host")}, "mode": "vip"},
    },
    "a bridge": {"network_name": "bridge"},
    "binds": {
        "volumes": {"/data/{username}": "/w", "/x": {"bind": "/x", "mode": "ro"}},
        "read_only_volumes": {"/y": "/y"},
    },
    "volumes": {"volumes": {"v-{username}": "/w"}},
    "a container": {
        "extra_container_spec": {
            "args": ["other"],
            "cap_drop": ["ALL"],
            "groups": ["100"],
            "hosts": {"db": "10.0.0.1"},
            "hostname": "h-{{.Node.Hostname}}",
            "image": "other:1",
            "init": True,
            "labels": {"l": "1"},
            "stop_grace_period": 10**9,
            "sysctls": {"net.core.somaxconn": "1"},
            "user": "1000:100",
            "workdir": "/w",
        }
    },
    "a task": {
        "extra_task_spec": {
            "force_update": 2,
            "log_driver": {"Name": "local"},
            "networks": ["other"],
            "restart_policy": {"Condition": "on-failure", "MaxAttempts": 3},
        }
    },
    "resources": {
        "mem_limit": "2G",
        "extra_resources_spec": {"mem_limit": 2**30, "cpu_limit": 10**9, "generic_resources": {"gpu": 1}},
    },
    "a place": {
        "extra_placement_spec": {
            "constraints": ["node.role==worker"],
            "preferences": [("spread", "node.labels.rack")],
            "platforms": [("x86_64", "linux")],
            "maxreplicas": 1,
        }
    },
    "create_service's words": {"extra_create_kwargs": {"labels": {"a": "b"}}},
}
"""What a service is made from: options."""
