// NumPy's arrays and numbers in pickles, as NumPy 1 and 2 write them in every protocol. Nothing is
// called: what a pickle would have called is read (io/pickle.h). Not for .npy and .npz (io/npy.h).
#pragma once

#include <string_view>

#include "base/result.h"
#include "io/npy.h"
#include "io/pickle.h"

namespace ito {

// Whether a pickle may refer to "module.name" where arrays are expected: what NumPy's arrays,
// dtypes and scalars are made by, and how Python 3 writes bytes.
bool is_numpy_name(std::string_view name);

// Whether a value is an array or a scalar of NumPy.
bool is_numpy_value(const Pickle& pickle, const PickleValue& value);

// An array, or a scalar with rank 0. Errors naming `where`: kCorrupt if it is none or is damaged;
// kUnsupported for element types other than those of parse_npy.
Result<HostTensor> numpy_array(const Pickle& pickle, const PickleValue& value,
                               std::string_view where);

// An array of Python's objects that are all texts. Errors: kCorrupt; kUnsupported for other ones.
Result<NpyTexts> numpy_object_texts(const Pickle& pickle, const PickleValue& value,
                                    std::string_view where);

}  // namespace ito
