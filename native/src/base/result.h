#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace mcfleet {

// What went wrong: an errno value and the call or object it belongs to, for example {ENODEV, "bind
// packet socket to ifindex 7"}.
struct Error final {
  int code = 0;
  std::string context;

  [[nodiscard]] static Error from_errno(std::string context) { return {errno, std::move(context)}; }
  [[nodiscard]] std::string message() const { return context + ": " + std::strerror(code); }
};

// A value or the reason why there is none. Used where a caller must look; never thrown, so that it
// is fit for code without exceptions.
template <typename T>
class [[nodiscard]] Result final {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() { return std::get<T>(state_); }
  [[nodiscard]] const T& value() const { return std::get<T>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

// Success, or the reason why not.
class [[nodiscard]] Status final {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace mcfleet
