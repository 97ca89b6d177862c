// A transformer's context, called in any order with any tokens, parents, paths and sizes: misuse is refused and changes
// nothing, and every row has the bits that the same text gives when it is read alone.

#include <gguf.hpp>
#include <map>
#include <model.hpp>
#include <specdec/model/tree_nodes.hpp>
#include <stdexcept>

#include "../transformer_support.hpp"
#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::require;
using specdec::node_id;
using specdec::token_id;
using toy_test::row_bits;

constexpr std::size_t vocab_size = 9;
constexpr std::size_t capacity = 12;

const toy::model& small_model() {
  static const toy::model model = [] {
    toy_test::tiny_shape shape{.vocabulary = vocab_size, .width = 12, .layers = 2, .heads = 4, .key_value_heads = 2};
    shape.head_size = shape.rotary_size = 4;
    shape.feed_forward = 10;
    shape.context_length = capacity;
    shape.attention = shape.feed_forward_type = toy::tensor_type::float32;
    return toy::model(toy::gguf_file(toy_test::tiny_model(shape).bytes(), "small.gguf"), {.threads = 1});
  }();
  return model;
}

/// The row behind a text, read token by token in a context of its own.
const row_bits& expected_row(const std::vector<token_id>& text) {
  static std::map<std::vector<token_id>, row_bits> known;
  if (known.size() > 5000) known.clear();
  const auto [at, is_new] = known.try_emplace(text);
  if (is_new) {
    toy::context context(small_model());
    for (const token_id token : text) at->second = toy_test::bits_of(context.decode({&token, 1}, 1)).front();
  }
  return at->second;
}

class explorer {
 public:
  explicit explorer(input& in) : in_(in), context_(small_model()) {}

  void explore() {
    for (std::size_t calls = 0; calls < 16 && !in_.empty(); ++calls) {
      switch (in_.below(8)) {
        case 0:
        case 1:
          decode();
          break;
        case 2:
        case 3:
        case 4:
          decode_tree();
          break;
        case 5:
          keep();
          break;
        case 6:
          truncate();
          break;
        default:
          copy();
      }
      require(std::equal(context_.tokens().begin(), context_.tokens().end(), text_.begin(), text_.end()),
              "a context holds the text that was read");
    }
  }

 private:
  std::vector<token_id> any_tokens(std::size_t most) {
    std::vector<token_id> tokens(in_.below(most + 1));
    for (token_id& token : tokens) {
      token = in_.one_in(64) ? in_.bits<token_id>() : static_cast<token_id>(in_.below(vocab_size));
    }
    return tokens;
  }
  static bool known(const std::vector<token_id>& tokens) {
    return std::all_of(tokens.begin(), tokens.end(),
                       [](token_id t) { return t >= 0 && static_cast<std::size_t>(t) < vocab_size; });
  }

  /// Calls, and whether the context refused. Any error but a documented one ends the program.
  template <class Call>
  [[nodiscard]] static bool refuses(Call&& call) {
    try {
      call();
    } catch (const std::invalid_argument&) {
      return true;
    } catch (const std::length_error&) {
      return true;
    }
    return false;
  }

  void decode() {
    const std::vector<token_id> tokens = any_tokens(6);
    const std::size_t rows = in_.below(tokens.size() + 2);
    const bool sound = rows <= tokens.size() && known(tokens) && text_.size() + tokens.size() <= capacity;
    std::vector<row_bits> came;
    const bool refused = refuses([&] { came = toy_test::bits_of(context_.decode(tokens, rows)); });
    require(refused == !sound, "calls that cannot be answered are refused, no others are");
    if (refused) return;
    if (!tokens.empty()) nodes_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      text_.push_back(tokens[i]);
      if (i + rows >= tokens.size()) {
        require(came[i + rows - tokens.size()] == expected_row(text_), "a row does not show its company");
      }
    }
  }

  void decode_tree() {
    std::vector<token_id> tokens = any_tokens(3);
    const std::size_t text = tokens.size();
    const std::vector<token_id> below = any_tokens(6);
    tokens.insert(tokens.end(), below.begin(), below.end());
    const std::size_t open = text > 0 ? 0 : nodes_.size();
    std::vector<node_id> parents(below.size());
    bool sound = true;
    for (std::size_t i = 0; i < parents.size(); ++i) {
      const std::size_t before = open + i;
      parents[i] = in_.one_in(64) ? in_.bits<node_id>() : static_cast<node_id>(in_.below(before + 1));
      sound = sound && parents[i] <= before;
    }
    const std::size_t rows = in_.one_in(8) ? in_.below(tokens.size() + 2) : below.size();
    sound = sound && rows <= tokens.size() && known(tokens) && (below.empty() || text_.size() + text > 0);
    sound = sound && text_.size() + open + tokens.size() <= capacity;
    std::vector<row_bits> came;
    const bool refused = refuses([&] { came = toy_test::bits_of(context_.decode_tree(tokens, parents, rows)); });
    require(refused == !sound, "trees that cannot be scored are refused, no others are");
    if (refused) return;
    if (text > 0) nodes_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::vector<token_id> path;
      if (i < text) {
        text_.push_back(tokens[i]);
      } else {
        nodes_.append({&tokens[i], 1}, {&parents[i - text], 1});
        path = tokens_of(static_cast<node_id>(nodes_.size()));
      }
      if (i + rows < tokens.size()) continue;
      require(came[i + rows - tokens.size()] == expected_row(toy_test::joined(text_, path)),
              "a node sees its path and nothing else");
    }
  }

  [[nodiscard]] std::vector<token_id> tokens_of(node_id node) const {
    std::vector<node_id> path;
    nodes_.append_path(node, path);
    std::vector<token_id> tokens;
    for (const node_id n : path) tokens.push_back(nodes_.token(n));
    return tokens;
  }

  void keep() {
    std::vector<node_id> path;
    const auto last = static_cast<node_id>(in_.below(nodes_.size() + 1));
    nodes_.append_path(last, path);
    bool sound = true;
    if (in_.one_in(8)) {
      path.push_back(in_.bits<node_id>() % 8);
      sound = path.back() != specdec::root && path.back() <= nodes_.size() && nodes_.parent(path.back()) == last;
    }
    require(refuses([&] { context_.keep(path); }) == !sound, "what is no path is refused, no path is");
    if (!sound) return;
    for (const node_id node : path) text_.push_back(nodes_.token(node));
    nodes_.clear();
  }

  void truncate() {
    const std::size_t size = in_.below(text_.size() + 2);
    require(refuses([&] { context_.truncate(size); }) == (size > text_.size()), "there is nothing behind the text");
    if (size > text_.size()) return;
    text_.resize(size);
    nodes_.clear();
  }

  /// A copy goes on where the original was, whatever was there before.
  void copy() {
    toy::context other(small_model());
    if (in_.below(2) == 0) {
      const std::vector<token_id> begun(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(text_.size() / 2));
      static_cast<void>(other.decode(begun, 0));
    }
    other = context_;
    context_ = std::move(other);
  }

  input& in_;
  toy::context context_;
  std::vector<token_id> text_;
  specdec::tree_nodes nodes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  explorer(in).explore();
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(24, 120); }
