#ifndef GENERATE_METHOD_OPTIONS_HPP
#define GENERATE_METHOD_OPTIONS_HPP

/// @file
/// The options that only some methods have.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <measurement/method.hpp>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace generate {

/// --method and the parameters of the methods, on the way from a command line to `measurement::method_settings`.
class method_options {
 public:
  method_options();

  method_options(const method_options&) = delete;
  method_options& operator=(const method_options&) = delete;

  /// Makes the options known to the parser, which then refers to this object.
  void add_to(CLI::App& app);

  /// Whether the command line names a method.
  [[nodiscard]] bool given() const;
  /// The method where it names none.
  void set_method(std::string_view name) { name_ = name; }

  /// The method that was asked for. Throws `usage_error` if there is no such method.
  [[nodiscard]] const measurement::method& method() const;

  /// The parameters that were given, for that method. Throws `usage_error` if one is no such value, or the method has
  /// no such parameter, std::runtime_error if a file cannot be read.
  [[nodiscard]] measurement::method_settings settings() const;

  /// A parameter as it is written, the one method that has it, and what it means, with its default.
  struct description {
    std::string name, method, meaning;
  };
  [[nodiscard]] static std::vector<description> help();

 private:
  struct option {
    std::string name;
    std::string method;  ///< the only one that has it
    std::string value;   ///< what stands for the value in the help
    std::string help;
    std::function<void(const option&, measurement::method_settings&)> set;
    std::string text = {};
    const CLI::Option* given = nullptr;
  };

  static std::vector<option> list();

  std::string name_ = "rejection";
  const CLI::Option* name_given_ = nullptr;
  std::vector<option> options_;
};

}  // namespace generate

#endif  // GENERATE_METHOD_OPTIONS_HPP
