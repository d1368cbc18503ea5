"""Build the compiled parts on CPython where a C compiler is; else install pure.

``FULLDUPLEX_BUILD=pure`` leaves the compiled parts out, ``FULLDUPLEX_BUILD=compiled``
makes a failed build an error, ``FULLDUPLEX_CYTHON_FORCE=1`` regenerates all C
(an edited ``.pxd`` alone would not).
"""

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MODULES = [
    "core.kernels._kernels_c",
    "core.kernels._zlib_c",
    "core.wire._wire_c",
    "core.endpoint._hot_c",
    "asyncio._awaitables_c",
    "asyncio._hot_c",
    "asyncio._tls_link_c",
    "asyncio._time_slice_c",
    "asyncio._waiter_c",
    "sync._hot_c",
]
if os.name == "posix":
    MODULES.append("asyncio._tcp_transport_c")
if sys.platform == "linux":
    MODULES.append("asyncio._epoll_c")
BUILD = os.environ.get("FULLDUPLEX_BUILD", "auto")


def extensions():
    if BUILD == "pure":
        return []
    if sys.implementation.name != "cpython":
        if BUILD == "compiled":
            raise SystemExit(
                "FULLDUPLEX_BUILD is 'compiled' but the compiled parts are made for "
                f"CPython, and this is {sys.implementation.name}"
            )
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if BUILD == "compiled":
            raise
        return []
    return cythonize(
        [
            Extension(
                f"fullduplex.{name}",
                [f"src/fullduplex/{name.replace('.', '/')}.pyx"],
                depends=[
                    "src/fullduplex/asyncio/_addresses_c.pxi",
                    "src/fullduplex/asyncio/_hot_c.pxd",
                    "src/fullduplex/asyncio/_tcp_api_c.pxi",
                    "src/fullduplex/asyncio/_time_slice_c.pxd",
                    "src/fullduplex/asyncio/_waiter_c.pxd",
                    "src/fullduplex/core/kernels/csrc/kernels.h",
                    "src/fullduplex/core/kernels/csrc/populate.h",
                    "src/fullduplex/core/kernels/csrc/zlib_functions.h",
                    "src/fullduplex/core/kernels/csrc/text.h",
                    "src/fullduplex/core/kernels/_c_api.pxi",
                    "src/fullduplex/core/kernels/_clock_c.pxi",
                    "src/fullduplex/core/endpoint/_hot_c.pxd",
                    "src/fullduplex/core/wire/_queue_c.pxi",
                    "src/fullduplex/core/wire/_limits_c.pxi",
                    "src/fullduplex/core/wire/_interfaces_c.pxi",
                    "src/fullduplex/core/wire/_wire_c.pxd",
                    "src/fullduplex/core/wire/_writer_c.pxi",
                    "src/fullduplex/core/kernels/_zlib_c.pxd",
                    "src/fullduplex/sync/_lock_c.pxi",
                ],
                extra_compile_args=[] if os.name == "nt" else ["-O3"],
            )
            for name in MODULES
        ],
        include_path=["src"],
        compiler_directives={
            "language_level": "3",
            "annotation_typing": False,
            # Fields that the garbage collector has cleared, and those of an object made
            # without `__init__`, are None: an AttributeError, not a crash.
            "nonecheck": True,
            # Copies made by `copy` and `pickle` crashed; they are refused.
            "auto_pickle": False,
        },
        force=os.environ.get("FULLDUPLEX_CYTHON_FORCE") == "1",
    )


class optional_build_ext(build_ext):
    """Compile all of the extensions, or go on without any."""

    def run(self):
        try:
            super().run()
        except Exception as exc:
            if BUILD == "compiled":
                raise
            self.warn(f"fullduplex is installed without compiled parts: {exc}")
            self.extensions = []


setup(ext_modules=extensions(), cmdclass={"build_ext": optional_build_ext})
