{
  "targets": [
    {
      "target_name": "mtia",
      "type": "shared_library",
      "product_prefix": "",
      "sources": [],
      "include_dirs": ["native/include", "native/src"],
      "cflags": ["-std=c11", "-O3", "-g", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-ffp-contract=off", "-fno-strict-aliasing", "-pthread"],
      "defines": ["_GNU_SOURCE"],
      "ldflags": ["-Wl,-z,nodelete", "-Wl,-z,defs", "-pthread"],
      "libraries": ["-lm", "-lpthread"]
    }
  ]
}
