// SPDX-License-Identifier: BSD-3-Clause
// The control plane's errors: what was wrong, and what to type. Layer: public values.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

namespace handfast {

enum class ErrorKind : std::uint8_t {
  usage,           ///< an argument or a setting is wrong; exit code 2
  environment,     ///< the machine cannot do it (memory, device, rights); exit code 3
  address_in_use,  ///< another listener has the endpoint
  exhausted,       ///< a table or range sized at start is full
  unreachable,     ///< no route or no neighbour
};

/// One sentence on what is wrong, one on what to do. Never empty.
struct Error {
  ErrorKind kind = ErrorKind::usage;
  std::string what;
  std::string remedy;
};

template <class T>
using Expected = tl::expected<T, Error>;

}  // namespace handfast
