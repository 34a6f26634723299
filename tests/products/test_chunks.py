"""Chunks that are filtered outside of HDF5 are those that HDF5 itself would have written."""

from __future__ import annotations

import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from nowcast.products.chunks import FILTERS, fill, filtered

SHUFFLED = [h5py.h5z.FILTER_SHUFFLE]


def empty(path, values, **filters):
    """A file with a variable for the values, and nothing in it."""
    with netCDF4.Dataset(path, "w") as file:
        for number, size in enumerate(values.shape):
            file.createDimension(f"d{number}", size)
        shape = (1,) * (values.ndim - 2) + values.shape[-2:]
        dims = [f"d{number}" for number in range(values.ndim)]
        file.createVariable("v", values.dtype, dims, chunksizes=shape, **filters)


def read(path):
    """What is in the variable; netCDF checks the sums."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return file["v"][:]


def test_bytes_of_a_place_stand_together():
    plane = np.array([[0x0102, 0x0304, 0x0506]], ">i2")
    assert filtered(plane, SHUFFLED) == bytes([1, 3, 5, 2, 4, 6])


def test_what_is_no_whole_value_follows():
    # The checksum of four bytes, behind values of eight.
    plane = np.arange(2.0).reshape(1, 2)
    both = filtered(plane, [h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_SHUFFLE])
    assert both[:16] == filtered(plane, SHUFFLED)
    assert both[16:] == filtered(plane, [h5py.h5z.FILTER_FLETCHER32])[16:]


@pytest.mark.parametrize("dtype", ["i1", "i4", "f4", "f8"])
@pytest.mark.parametrize("left_out", [None, "shuffle", "fletcher32", "compression"])
def test_netcdf_reads_what_was_put_there(tmp_path, dtype, left_out):
    values = np.random.default_rng(1).normal(size=(2, 3, 5, 7)).astype(dtype)
    filters = {name: on for name, on in FILTERS.items() if name != left_out}
    filters.setdefault("shuffle", False)
    empty(tmp_path / "v.nc", values, **filters)
    fill(tmp_path / "v.nc", {"v": values})
    np.testing.assert_array_equal(read(tmp_path / "v.nc"), values)


@given(values=arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=4, max_side=40)))
def test_any_values_come_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("chunks") / "v.nc"
    empty(path, values, **FILTERS)
    fill(path, {"v": values})
    np.testing.assert_array_equal(read(path).view("u4"), values.view("u4"))


def test_where_nothing_is_squeezed_the_bytes_are_those_of_hdf5(tmp_path):
    values = np.random.default_rng(2).normal(size=(6, 5)).astype("f4")
    ours, theirs = tmp_path / "ours.nc", tmp_path / "theirs.nc"
    for path in (ours, theirs):
        empty(path, values, fletcher32=True)
    fill(ours, {"v": values})
    with netCDF4.Dataset(theirs, "a") as file:
        file["v"][...] = values
    with h5py.File(theirs) as expected, h5py.File(ours) as found:
        chunk = found["v"].id.read_direct_chunk((0, 0))
        assert chunk == expected["v"].id.read_direct_chunk((0, 0))
