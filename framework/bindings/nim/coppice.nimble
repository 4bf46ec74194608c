# The package as nimble installs it; the C library is not part of it.
version = "1.0.0"
author = "Coppice"
description = "Actors of a Coppice tree, by its C library"
license = "MIT"
skipDirs = @["examples", "tests"]

requires "nim >= 1.6.0"
