// SPDX-License-Identifier: BSD-3-Clause
// The files below a directory, mapped into memory once at start and found by request target. A look-up opens
// nothing and allocates nothing, and what was not found at start cannot be reached: no path leads out.
// Layer: apps. Knows nothing of connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "handfast/error.hpp"

namespace handfast::apps {

/// A read-only mapping of a whole file. Shortening the file while it is served is the operator's mistake, and
/// fatal (SIGBUS): replace files by renaming, as installers do.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] static Expected<MappedFile> open(const std::filesystem::path& path);
  /// Valid as long as this object, wherever it is moved.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;  // empty, and not mapped, for an empty file
};

class FileStore {
 public:
  static constexpr std::size_t max_files = 65'536;
  static constexpr std::size_t max_path_bytes = 4'096;

  struct Found {
    std::uint16_t http_status = 404;   ///< 200, 400, 403 or 404
    std::span<const std::byte> bytes;  ///< the file; valid as long as the store
    std::string_view content_type;
  };

  /// Maps every regular file below `root`. Names that begin with a dot are left out, except .well-known.
  /// A symbolic link to a file inside is served, one that leads out is answered with 403; linked directories
  /// are not entered.
  [[nodiscard]] static Expected<FileStore> open(const std::filesystem::path& root);

  /// By origin-form target: the query is ignored, escapes are decoded, a directory means its index.html.
  /// A ".." is answered with 403, whether or not it would stay inside.
  [[nodiscard]] Found find(std::string_view target) const;

  [[nodiscard]] std::size_t size() const { return files_.size(); }

 private:
  struct Entry {
    MappedFile file;
    std::string_view content_type;
    bool forbidden = false;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view path) const { return std::hash<std::string_view>{}(path); }
  };

  Expected<void> add(const std::filesystem::path& root, const std::filesystem::path& path);

  // Keys have a leading slash: "/a/b.html".
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> files_;
};

}  // namespace handfast::apps
