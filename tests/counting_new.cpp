#include "counting_new.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define COUNTING_NEW_ASKS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING_NEW_ASKS_SANITIZER
#endif

#ifdef COUNTING_NEW_ASKS_SANITIZER
#include <sanitizer/allocator_interface.h>
#else
#include <malloc.h>
#endif

namespace {

std::atomic<std::size_t> all{0};
std::atomic<long long> blocks{0}, bytes{0};

void add(std::size_t size) noexcept {
  all.fetch_add(1, std::memory_order_relaxed);
  blocks.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(static_cast<long long>(size), std::memory_order_relaxed);
}

void subtract(std::size_t size) noexcept {
  blocks.fetch_sub(1, std::memory_order_relaxed);
  bytes.fetch_sub(static_cast<long long>(size), std::memory_order_relaxed);
}

}  // namespace

std::size_t counting_new::allocations() noexcept { return all.load(std::memory_order_relaxed); }

counting_new::heap counting_new::live() noexcept {
  return {blocks.load(std::memory_order_relaxed), bytes.load(std::memory_order_relaxed)};
}

#ifdef COUNTING_NEW_ASKS_SANITIZER

bool counting_new::counts_exceptions() noexcept { return true; }
bool counting_new::can_fail() noexcept { return false; }
bool counting_new::fail_at(std::size_t) noexcept { return false; }

// A sanitizer's operators see more mistakes than ours would, and some cannot be replaced.
extern "C" void __sanitizer_malloc_hook(const volatile void* memory, std::size_t) {
  if (memory != nullptr) add(__sanitizer_get_allocated_size(memory));
}
extern "C" void __sanitizer_free_hook(const volatile void* memory) {
  if (memory != nullptr) subtract(__sanitizer_get_allocated_size(memory));
}

#else

bool counting_new::counts_exceptions() noexcept { return false; }
bool counting_new::can_fail() noexcept { return true; }

namespace {

/// Allocations up to the one that fails, and that one.
std::atomic<std::size_t> succeeding{0};
std::atomic<bool> failed{false};

void fail_if_asked() {
  if (succeeding.load(std::memory_order_relaxed) == 0 || succeeding.fetch_sub(1, std::memory_order_relaxed) > 1) return;
  failed = true;
  throw std::bad_alloc();
}

void* counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  add(malloc_usable_size(memory));
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  subtract(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

bool counting_new::fail_at(std::size_t n) noexcept {
  succeeding = n;
  return failed.exchange(false);
}

// The standard library's other operators call these.
void* operator new(std::size_t size) {
  fail_if_asked();
  return counted(std::malloc(size == 0 ? 1 : size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  fail_if_asked();
  const auto unit = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

#endif
