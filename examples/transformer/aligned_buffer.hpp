#ifndef TOY_ALIGNED_BUFFER_HPP
#define TOY_ALIGNED_BUFFER_HPP

/// @file
/// Memory for weights and activations.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace toy {

/// A fixed-size array of a trivial type, zeroed, starting on a cache line (on a huge page if it is large).
template <class T>
class aligned_buffer {
 public:
  aligned_buffer() noexcept = default;

  /// Throws `std::bad_alloc` if there is not enough memory.
  explicit aligned_buffer(std::size_t size) : size_(size) {
    // Streaming hundreds of megabytes through 4 KiB pages would spend its time in the TLB.
    constexpr std::size_t line = 64, huge_page = std::size_t{1} << 21;
    if (size > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T)) throw std::bad_alloc();
    const std::size_t alignment = size * sizeof(T) >= huge_page ? huge_page : line;
    const std::size_t bytes = (std::max<std::size_t>(size * sizeof(T), 1) + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<T*>(std::aligned_alloc(alignment, bytes)));
    if (!data_) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == huge_page) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
    // Written, not left to the system's lazily shared zero page: inert weights must cost what real ones cost.
    std::memset(data_.get(), 0, bytes);
  }

  [[nodiscard]] T* data() noexcept { return data_.get(); }
  [[nodiscard]] const T* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct release {
    void operator()(T* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<T, release> data_;
  std::size_t size_ = 0;
};

}  // namespace toy

#endif  // TOY_ALIGNED_BUFFER_HPP
