#!/usr/bin/env python3
"""Writes what NumPy writes into pickles and .npz: CIFAR batches of Python 3, labels that are names.

batch-P.pkl: {b"data": two pictures [2,3072], b"labels": classes 3 and 9} in protocol P; the bytes are
(7 n + k * k) mod 256 of byte k of picture n. Labels are a list in protocols 2 and 4, an array in 3,
a list of NumPy's integers in 5; the array of protocol 4 is in Fortran's order, keys are texts there.
"""
import pickle
from pathlib import Path

import numpy

here = Path(__file__).parent
k = numpy.arange(3072)
data = numpy.stack([(7 * n + k * k) % 256 for n in range(2)]).astype(numpy.uint8)
labels = {2: [3, 9], 3: numpy.array([3, 9]), 4: [3, 9], 5: [numpy.int64(3), numpy.int64(9)]}
for protocol, classes in labels.items():
    array = numpy.asfortranarray(data) if protocol == 4 else data
    keys = ("data", "labels") if protocol == 4 else (b"data", b"labels")
    (here / f"batch-{protocol}.pkl").write_bytes(pickle.dumps(dict(zip(keys, (array, classes))), protocol))

names = ["bird", "été", "bird", "cat", "\U0001f426"]
numpy.savez(
    here / "labels.npz",
    unicode=numpy.array(names),
    swapped=numpy.array(names).astype(">U4"),
    bytes=numpy.array([name.encode() for name in names]),
    objects=numpy.array(names, dtype=object),
    column=numpy.array(names).reshape(5, 1),
    numbers=numpy.array(["10", "2", "2", "0", "10"]),
    mixed=numpy.array(["bird", 3, None, "cat", "x"], dtype=object),
    one=numpy.array([["a", "b"]] * 5),
)
