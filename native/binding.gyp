{
  "variables": {
    "core_sources": ["<!@(ls src/base/*.cc src/packet/*.cc src/ring/*.cc src/ingress/*.cc src/forwarder/*.cc src/netlink/*.cc src/mroute/*.cc src/probe/*.cc 2>/dev/null || true)"],
    "addon_sources": ["<!@(ls src/addon/*.cc)"]
  },
  "target_defaults": {
    "cflags": ["-Wall", "-Wextra", "-fvisibility=hidden", "-O2"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
    "cflags_cc": ["-std=c++20"],
    "include_dirs": ["src"]
  },
  "targets": [
    {
      "target_name": "mcfleet",
      "sources": ["<@(core_sources)", "<@(addon_sources)"],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions"],
      "defines+": ["NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"]
    }
  ]
}
