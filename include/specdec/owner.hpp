#ifndef SPECDEC_OWNER_HPP
#define SPECDEC_OWNER_HPP

/// @file
/// What the erased types are made of: pointers that own, and a look through references.
///
/// In place of std::unique_ptr, std::shared_ptr and std::unwrap_reference: `<memory>` and `<functional>` cost whoever
/// includes this library 0.2 s of compilation.

#include <concepts>
#include <cstddef>
#include <utility>

#include "config.hpp"

// Its standard header costs a tenth of a second, for one counter.
#if !defined(__GNUC__)
#include <atomic>
#endif

namespace specdec::inline SPECDEC_ABI {

/// Owns an object, or nothing. Movable; behind a move it is empty. If the object's class derives from `T`, that has a
/// virtual destructor.
template <class T>
class owner {
 public:
  owner() noexcept = default;
  /// Takes over what `new` made.
  explicit owner(T* held) noexcept : held_(held) {}
  owner(owner&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  owner& operator=(owner&& other) noexcept {
    owner taken(std::move(other));
    std::swap(held_, taken.held_);
    return *this;
  }
  ~owner() { delete held_; }

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
  [[nodiscard]] T* operator->() const noexcept { return held_; }
  [[nodiscard]] T& operator*() const noexcept { return *held_; }

 private:
  T* held_ = nullptr;
};

/// How many `shared_owner`s there are of an object: its interface derives from this.
class counted {
 public:
  counted() noexcept = default;
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  virtual ~counted() = default;

 private:
  template <class Interface>
  friend class shared_owner;

#if defined(__GNUC__)
  void take() const noexcept { __atomic_fetch_add(&owners_, 1, __ATOMIC_RELAXED); }
  /// Whether that was the last owner.
  bool release() const noexcept { return __atomic_fetch_sub(&owners_, 1, __ATOMIC_ACQ_REL) == 1; }

  mutable std::size_t owners_ = 1;
#else
  void take() const noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
  bool release() const noexcept { return owners_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

  mutable std::atomic<std::size_t> owners_ = 1;
#endif
};

/// Owns a constant object together with its own copies, or nothing. Copies may be in several threads.
/// The interface derives from `counted`.
template <class Interface>
class shared_owner {
 public:
  shared_owner() noexcept = default;
  /// Takes over what `new` made.
  explicit shared_owner(const Interface* held) noexcept : held_(held) {}
  shared_owner(const shared_owner& other) noexcept : held_(other.held_) {
    if (held_ != nullptr) held_->take();
  }
  shared_owner& operator=(const shared_owner& other) noexcept {
    shared_owner taken(other);
    std::swap(held_, taken.held_);
    return *this;
  }
  ~shared_owner() {
    if (held_ != nullptr && held_->release()) delete held_;
  }

  [[nodiscard]] const Interface* operator->() const noexcept { return held_; }

 private:
  const Interface* held_ = nullptr;
};

/// The address of an object, whatever its operator& does.
template <class T>
[[nodiscard]] T* address_of(T& object) noexcept {
  return reinterpret_cast<T*>(&const_cast<char&>(reinterpret_cast<const volatile char&>(object)));
}

/// Whether `T` refers to an object of another type, as std::reference_wrapper does: what `get()` returns.
template <class T>
concept ReferenceWrapper = requires(const T& wrapper) {
  { wrapper.get() } -> std::same_as<typename T::type&>;
};

/// The type that is meant by a `T`: what a reference wrapper refers to, or T itself.
template <class T>
struct unwrapped_type {
  using type = T;
};
template <ReferenceWrapper T>
struct unwrapped_type<T> {
  using type = typename T::type;
};
template <class T>
using unwrapped = typename unwrapped_type<T>::type;

/// The object that is meant.
template <class T>
[[nodiscard]] constexpr unwrapped<T>& unwrap(T& object) noexcept {
  if constexpr (ReferenceWrapper<T>) {
    return object.get();
  } else {
    return object;
  }
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_OWNER_HPP
