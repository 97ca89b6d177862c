#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gguf.hpp"
#include "half.hpp"
#include "message_of.hpp"
#include "model.hpp"
#include "thread_pool.hpp"
#include "tokenizer.hpp"
#include "transformer_gguf_writer.hpp"
#include "transformer_reference.hpp"
#include "transformer_support.hpp"

namespace {

using specdec::token_id;
using toy::context;
using toy::gguf_file;
using toy::gguf_type;
using toy::load_options;
using toy::model;
using toy::weight_format;
using toy_test::gguf_writer;
using toy_test::tiny_model;
using toy_test::tiny_shape;
using toy_test::tiny_vocabulary;
using logits_rows = std::vector<std::vector<float>>;

const std::filesystem::path models = SPECDEC_MODELS_DIR;

constexpr std::string_view text =
    "It was evening. The lamps were not yet lit, and the children had gone up to bed, when I heard a horse upon the "
    "gravel. \"You are pale, Miss,\" said the housekeeper. \"Sit down, and I will bring you a cup of tea before the "
    "master comes.\" Question: Maria earns $15 an hour and works 8 hours a day for 5 days.";

std::vector<token_id> text_tokens() { return toy::tokenizer(gguf_file(models / "target.gguf")).encode(text); }

// Tokens for models without a tokenizer.
std::vector<token_id> some_tokens(std::size_t count, std::size_t vocabulary) {
  std::vector<token_id> tokens(count);
  for (std::size_t i = 0; i < count; ++i) tokens[i] = static_cast<token_id>((i * i * 7 + i * 3 + 1) % vocabulary);
  return tokens;
}

gguf_file parsed(const gguf_writer& writer) { return gguf_file(writer.bytes(), "test.gguf"); }

logits_rows copied(const specdec::logits_view<float>& view) {
  logits_rows rows(view.size());
  for (std::size_t i = 0; i < view.size(); ++i)
    for (std::size_t v = 0; v < view.row(i).size(); ++v) rows[i].push_back(view.row(i)[v]);
  return rows;
}

logits_rows all_logits(context& context, std::span<const token_id> tokens) {
  return copied(context.decode(tokens, tokens.size()));
}

logits_rows all_logits(const model& model, std::span<const token_id> tokens) {
  context context(model);
  return all_logits(context, tokens);
}

// Equality of bits: tells +0 from -0, and every NaN from every other.
::testing::AssertionResult same_bits(const logits_rows& a, const logits_rows& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " rows and " << b.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return ::testing::AssertionFailure() << "rows of different sizes";
    for (std::size_t v = 0; v < a[i].size(); ++v)
      if (std::bit_cast<std::uint32_t>(a[i][v]) != std::bit_cast<std::uint32_t>(b[i][v]))
        return ::testing::AssertionFailure() << "row " << i << ", token " << v << ": " << a[i][v] << ", " << b[i][v];
  }
  return ::testing::AssertionSuccess();
}

double largest_difference(const logits_rows& logits, const toy_reference::matrix& reference) {
  double largest = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    for (std::size_t v = 0; v < logits[i].size(); ++v) {
      const double expected = reference(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(v));
      const double difference = std::fabs(static_cast<double>(logits[i][v]) - expected);
      if (!(difference <= largest)) largest = difference;
    }
  return largest;
}

TEST(half, every_half_survives_the_round_trip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = toy::half_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE((bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0);
      continue;
    }
    ASSERT_EQ(toy::float_to_half(value), half);
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    if (exponent == 31) continue;
    const double expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    ASSERT_EQ(static_cast<double>(std::fabs(value)), expected);
  }
}

TEST(half, rounds_to_nearest_even) {
  for (std::uint16_t half = 0; half < 0x7bff; ++half) {
    const float low = toy::half_to_float(half), high = toy::half_to_float(static_cast<std::uint16_t>(half + 1));
    const float middle = (low + high) / 2;
    const std::uint16_t even = half % 2 == 0 ? half : static_cast<std::uint16_t>(half + 1);
    ASSERT_EQ(toy::float_to_half(middle), even);
    ASSERT_EQ(toy::float_to_half(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(toy::float_to_half(std::nextafter(middle, 1e9f)), half + 1);
  }
  EXPECT_EQ(toy::float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(toy::float_to_half(65519.0f), 0x7bff);
  EXPECT_EQ(toy::float_to_half(std::numeric_limits<float>::infinity()), 0x7c00);
}

TEST(thread_pool, runs_every_piece_once) {
  for (const unsigned threads : {1u, 2u, 5u}) {
    toy::thread_pool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (std::size_t round = 0; round < 2000; ++round) {
      std::vector<std::atomic<int>> runs(round % 37);
      pool.run(runs.size(), [&](std::size_t piece) { runs[piece].fetch_add(1, std::memory_order_relaxed); });
      for (const auto& count : runs) ASSERT_EQ(count.load(), 1);
    }
  }
}

TEST(thread_pool, wakes_helpers_that_sleep) {
  toy::thread_pool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> sum{0};
    pool.run(100, [&](std::size_t piece) { sum += static_cast<int>(piece); });
    ASSERT_EQ(sum.load(), 4950);
  }
}

TEST(thread_pool, callers_at_the_same_time_do_not_mix) {
  toy::thread_pool pool(3);
  const auto caller = [&] {
    for (int round = 0; round < 2000; ++round) {
      std::atomic<int> sum{0};
      pool.run(20, [&](std::size_t piece) { sum += static_cast<int>(piece); });
      ASSERT_EQ(sum.load(), 190);
    }
  };
  std::thread other(caller);
  caller();
  other.join();
}

TEST(gguf, reads_values_of_every_type) {
  gguf_writer writer;
  writer.value<std::uint8_t>("u8", gguf_type::uint8, 200).value<std::int8_t>("i8", gguf_type::int8, -100);
  writer.value<std::uint16_t>("u16", gguf_type::uint16, 60000).value<std::int16_t>("i16", gguf_type::int16, -30000);
  writer.value("u32", 4000000000u).value<std::int32_t>("i32", gguf_type::int32, 2000000000).value("f32", 1.5f);
  writer.value<std::uint8_t>("yes", gguf_type::boolean, 1).value("text", std::string_view("h\xc3\xa9\0llo", 7));
  writer.value<std::uint64_t>("u64", gguf_type::uint64, 1ull << 60).value<std::int64_t>("i64", gguf_type::int64, -5);
  writer.value("f64", gguf_type::float64, 0.1).strings("names", {"", "one", "two"});
  writer.numbers<std::int16_t>("shorts", gguf_type::int16, {-1, 2}).numbers<double>("none", gguf_type::float64, {});
  writer.array("nested", gguf_type::array, 2);
  writer.metadata().number(0u).number(std::uint64_t{1}).number(std::uint8_t{9});
  writer.metadata().number(8u).number(std::uint64_t{1}).string("deep");
  const gguf_file file = parsed(writer);

  EXPECT_EQ(file.get<std::uint64_t>("u8"), 200u);
  EXPECT_EQ(std::get<std::int8_t>(file.metadata().at("i8")), -100);
  EXPECT_EQ(file.get<std::uint64_t>("u16"), 60000u);
  EXPECT_EQ(std::get<std::int16_t>(file.metadata().at("i16")), -30000);
  EXPECT_EQ(file.get<std::uint64_t>("u32"), 4000000000u);
  EXPECT_EQ(file.get<std::uint64_t>("i32"), 2000000000u);
  EXPECT_EQ(file.get<double>("f32"), 1.5);
  EXPECT_TRUE(file.get<bool>("yes"));
  EXPECT_EQ(file.get<std::string_view>("text"), std::string_view("h\xc3\xa9\0llo", 7));
  EXPECT_EQ(file.get<std::uint64_t>("u64"), 1ull << 60);
  EXPECT_EQ(file.get<double>("f64"), 0.1);
  EXPECT_EQ(file.get<toy::gguf_array>("names").strings(), (std::vector<std::string_view>{"", "one", "two"}));
  EXPECT_EQ(file.get<toy::gguf_array>("shorts").numbers(), (std::vector<double>{-1, 2}));
  EXPECT_TRUE(file.get<toy::gguf_array>("none").numbers().empty());
  const auto nested = file.get<toy::gguf_array>("nested").arrays();
  ASSERT_EQ(nested.size(), 2u);
  EXPECT_EQ(nested[0].numbers(), std::vector<double>{9});
  EXPECT_EQ(nested[1].strings(), std::vector<std::string_view>{"deep"});
  EXPECT_FALSE(file.find<bool>("absent"));
  EXPECT_EQ(message_of([&] { static_cast<void>(file.get<bool>("absent")); }),
            "test.gguf: expected the metadata key 'absent', found none");
  EXPECT_EQ(message_of([&] { static_cast<void>(file.get<std::uint64_t>("i64")); }),
            "test.gguf: expected 'i64' to be a non-negative integer, got a value of type int64");
  EXPECT_EQ(message_of([&] { static_cast<void>(file.get<toy::gguf_array>("names").numbers()); }),
            "expected an array of numbers, got one of string");
}

TEST(gguf, a_missing_file_is_named) {
  EXPECT_EQ(message_of([] { gguf_file("no/such/file.gguf"); }), "no/such/file.gguf: expected a GGUF file, found none");
  EXPECT_NE(message_of([] { gguf_file{models}; }).find("not a regular file"), std::string::npos);
}

TEST(gguf, a_tensor_beyond_the_end_is_named) {
  const auto bytes = tiny_model({}).bytes();
  const std::size_t size = bytes.size() - 64;
  const std::string message = message_of([&] { gguf_file(std::span(bytes).first(size), "x.gguf"); });
  EXPECT_TRUE(message.starts_with("x.gguf: tensor 'blk.1.ffn_down.weight' needs 6528 bytes at ")) << message;
  EXPECT_TRUE(message.ends_with("but the file ends at " + std::to_string(size))) << message;
}

TEST(gguf, hostile_headers_are_refused) {
  const auto refusal = [](const toy_test::byte_writer& bytes) {
    return message_of([&] { gguf_file(bytes.bytes(), "x.gguf"); });
  };
  const auto start = [](std::uint64_t tensors, std::uint64_t keys) {
    toy_test::byte_writer bytes;
    bytes.raw("GGUF").number(3u).number(tensors).number(keys);
    return bytes;
  };
  constexpr std::uint64_t huge = ~std::uint64_t{0};
  EXPECT_NE(refusal(toy_test::byte_writer().raw("GGML    ")).find("expected the magic 'GGUF'"), std::string::npos);
  EXPECT_NE(refusal(toy_test::byte_writer().raw("GGUF").number(2u)).find("version 3, got 2"), std::string::npos);
  EXPECT_NE(refusal(start(0, huge)).find("the file ends at 24"), std::string::npos);
  EXPECT_NE(refusal(start(huge, 0)).find("the file ends at 24"), std::string::npos);
  EXPECT_NE(refusal(start(0, 1).number(huge)).find("the file ends at"), std::string::npos);
  EXPECT_NE(refusal(start(0, 1).string("k").number(13u)).find("expected a value type 0..12, got 13"),
            std::string::npos);
  EXPECT_NE(refusal(start(0, 1).string("k").number(9u).number(10u).number(huge / 8 + 2)).find("expected an array of"),
            std::string::npos);
  EXPECT_NE(refusal(start(0, 1).string("k").number(9u).number(8u).number(huge)).find("the file ends at"),
            std::string::npos);
  auto nested = start(0, 1).string("k").number(9u);
  for (int depth = 0; depth < 10000; ++depth) nested.number(9u).number(std::uint64_t{1});
  EXPECT_NE(refusal(nested).find("arrays nested deeper than 8"), std::string::npos);

  const auto tensor = [&](std::uint32_t dimensions, std::uint64_t extent, std::uint32_t type, std::uint64_t offset) {
    auto bytes = start(1, 0).string("t").number(dimensions);
    for (std::uint32_t i = 0; i < std::min(dimensions, 9u); ++i) bytes.number(extent);
    return refusal(bytes.number(type).number(offset).pad(32).raw(std::string(64, 'x')));
  };
  EXPECT_EQ(tensor(1, 16, 0, 0), "no exception");
  EXPECT_NE(tensor(1, 17, 0, 0).find("needs 68 bytes at 64 + 0"), std::string::npos);
  EXPECT_NE(tensor(1, 16, 0, 32).find("needs 64 bytes at 64 + 32"), std::string::npos);
  EXPECT_NE(tensor(1, 16, 0, huge - 31).find("needs 64 bytes at"), std::string::npos);
  EXPECT_NE(tensor(1, 16, 0, 1).find("a multiple of 32, got 1"), std::string::npos);
  EXPECT_NE(tensor(0, 16, 0, 0).find("expected 1..4 dimensions, got 0"), std::string::npos);
  EXPECT_NE(tensor(5, 1, 0, 0).find("expected 1..4 dimensions, got 5"), std::string::npos);
  EXPECT_NE(tensor(1, 0, 0, 0).find("got 0"), std::string::npos);
  EXPECT_NE(tensor(4, 1u << 20, 0, 0).find("expected extents"), std::string::npos);
  EXPECT_NE(tensor(1, huge / 2, 0, 0).find("expected a size"), std::string::npos);
  EXPECT_NE(tensor(1, 16, 2, 0).find("got 2"), std::string::npos);
  EXPECT_NE(tensor(1, 16, 8, 0).find("multiple of 32, got 16"), std::string::npos);

  // Tensors that share bytes would let a small file ask for a large model.
  auto shared = start(2, 0);
  for (const char* name : {"a", "b"})
    shared.string(name).number(1u).number(std::uint64_t{16}).number(0u).number(std::uint64_t{0});
  EXPECT_NE(refusal(shared.pad(32).raw(std::string(64, 'x'))).find("expected tensors not to share bytes"),
            std::string::npos);
}

// Loads everything a file offers and computes with it; any exception is fine, anything else is not.
void use(std::span<const std::byte> bytes) {
  try {
    const gguf_file file(bytes, "corrupt.gguf");
    try {
      const toy::tokenizer tokenizer(file);
      static_cast<void>(tokenizer.decode(tokenizer.encode("ab <tool> \xff")));
    } catch (const std::runtime_error&) {
    }
    load_options options;
    options.threads = 1;
    const model model(file, options);
    context context(model, 4);
    const std::vector<token_id> tokens{0, 1};
    static_cast<void>(context.decode(tokens, 2));
  } catch (const std::runtime_error& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with("corrupt.gguf: ")) << error.what();
  } catch (const std::exception&) {
  }
}

TEST(gguf, truncated_and_corrupt_files_do_no_harm) {
  tiny_shape shape;
  shape.vocabulary = 11;
  shape.width = 32;
  shape.layers = 1;
  shape.head_size = 8;
  shape.rotary_size = 8;
  shape.feed_forward = 32;
  gguf_writer writer = tiny_model(shape);
  tiny_vocabulary(writer, false);
  const auto bytes = writer.bytes();
  const std::size_t header = writer.header().size();
  for (std::size_t size = 0; size < bytes.size(); size += size < header + 64 ? 1 : 97)
    use(std::span(bytes).first(size));
  for (std::size_t at = 0; at < header; ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      auto corrupt = bytes;
      corrupt[at] ^= static_cast<std::byte>(mask);
      use(corrupt);
    }
  }
  use(bytes);
}

// The ids are those of SentencePiece 0.1.97 with the model that the bundled vocabulary was exported from.
TEST(tokenizer, agrees_with_sentencepiece) {
  const toy::tokenizer tokenizer(gguf_file(models / "target.gguf"));
  const std::vector<std::pair<std::string, std::vector<token_id>>> golden = {
      {"", {}},
      {" ", {4009, 4009}},
      {"  ", {4009, 4009, 4009}},
      {"a  b ", {261, 4009, 273, 4009}},
      {"\ta\n\n b\t\t", {4009, 12, 4012, 13, 13, 273, 12, 12}},
      {"Hello world", {441, 290, 4013, 1528}},
      {"<s>", {4009, 63, 4014, 65}},
      {"</s><unk>", {4009, 63, 4059, 4014, 65, 63, 3758, 65}},
      {"\xe2\x96\x81x", {4009, 535}},
      {"x\xc2\xa0y", {535, 197, 163, 4026}},
      {"\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
       {4009, 243, 162, 155, 131, 243, 162, 148, 172, 229, 131, 144, 243, 162, 148, 170}},
      {std::string(1, '\0'), {4009, 3}},
      {"na\xc3\xafve caf\xc3\xa9", {295, 4012, 198, 178, 316, 1760, 4024, 4089}},
      {"\xe6\x97\xa5\xe6\x9c\xac", {4009, 233, 154, 168, 233, 159, 175}},
      {"12345.678", {4009, 4035, 4036, 4046, 4045, 4041, 4031, 4050, 4062, 4053}},
      {"<0x41>", {4009, 63, 4032, 4056, 4045, 4035, 65}},
      {"\xce\xa9mega\r\n\xc3\x9f", {4009, 209, 172, 1804, 4027, 4012, 16, 13, 198, 162}},
      {"        indent", {4009, 4009, 4009, 4009, 4009, 4009, 4009, 4009, 878, 329}},
      {"e\xcc\x81", {302, 207, 132}},
      {"\"Do you believe, then,\" he asked, turning suddenly towards me, \"that a man may",
       {354, 3131, 344, 1818, 4029, 559, 636, 294, 1187, 4029, 3387, 2985, 2079, 365, 4029, 354, 1782, 261, 385, 1168}},
      {"The youngest brother, whom everyone called a fool, shared his cake with the little grey man, and the little "
       "man",
       {335, 1099, 346,  1154, 4029, 1769, 688,  476, 1531, 261, 276, 708, 4029, 398,
        916, 362,  2471, 371,  264,  672,  3700, 385, 4029, 289, 264, 672, 385}},
      {"Question: Maria earns $15 an hour and works 8 hours a day for 5 days. She spends $220. How much money does she "
       "keep?\nAnswer:",
       {393,  4042, 1068, 1050, 2004, 323,  4035, 4041, 403, 454,  289, 1938, 4009, 4053,
        558,  261,  428,  332,  4009, 4041, 687,  4031, 510, 1221, 323, 4036, 4036, 4032,
        4031, 457,  517,  762,  616,  338,  1502, 4055, 13,  4048, 382, 4042}},
      {"The cat ran after the mouse, the dog ran after the cat, the boy ran after the dog, the mother ran after",
       {335,  1329, 1477, 669,  264,  269, 724, 4029, 264,  1228, 1477, 669,  264,
        1329, 4029, 264,  2294, 1477, 669, 264, 1228, 4029, 264,  1108, 1477, 669}},
  };
  for (const auto& [input, ids] : golden) {
    EXPECT_EQ(tokenizer.encode(input, false), ids) << input;
    if (input.find("\xe2\x96\x81") == std::string::npos) {
      EXPECT_EQ(tokenizer.decode(ids), input);
    }
  }
}

TEST(tokenizer, knows_its_special_tokens) {
  const toy::tokenizer tokenizer(gguf_file(models / "draft.gguf"));
  EXPECT_EQ(tokenizer.vocab_size(), 4096u);
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos(), 2);
  EXPECT_TRUE(tokenizer.add_bos());
  EXPECT_EQ(tokenizer.encode("", true), std::vector<token_id>{1});
  EXPECT_EQ(tokenizer.encode("a"), (std::vector<token_id>{1, 261}));
  EXPECT_EQ(tokenizer.piece(1), "");
  EXPECT_EQ(tokenizer.piece(3), std::string_view("\0", 1));
  EXPECT_EQ(tokenizer.piece(258), "\xff");
  EXPECT_EQ(tokenizer.piece(261), " a");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("once more")), "once more");
  EXPECT_THROW(static_cast<void>(tokenizer.piece(-1)), std::out_of_range);
  EXPECT_THROW(static_cast<void>(tokenizer.piece(4096)), std::out_of_range);
}

TEST(tokenizer, any_bytes_survive_the_round_trip) {
  const toy::tokenizer tokenizer(gguf_file(models / "target.gguf"));
  for (const std::string& input : {std::string("\xff\xfe"), std::string("a\xe2\x96"), std::string("\xe2"),
                                   std::string("\xc0\xaf\xf8\x80"), std::string("\xed\xa0\x80 x")})
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(input)), input);
}

TEST(tokenizer, long_texts_do_not_take_long) {
  const toy::tokenizer tokenizer(gguf_file(models / "target.gguf"));
  std::string input;
  while (input.size() < 300'000) input += text;
  input += std::string(300'000, 'a') + std::string(300'000, ' ');
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(input)), input);
}

TEST(tokenizer, honours_token_types) {
  gguf_writer writer;
  tiny_vocabulary(writer, true);
  const toy::tokenizer tokenizer(parsed(writer));
  EXPECT_EQ(tokenizer.encode("ab", false), (std::vector<token_id>{7}));
  EXPECT_EQ(tokenizer.encode("aabab", false), (std::vector<token_id>{3, 4, 6, 6})) << "unused 'abab' must not appear";
  EXPECT_EQ(tokenizer.encode("ab<tool>ab", false), (std::vector<token_id>{7, 9, 6}));
  EXPECT_EQ(tokenizer.encode("<s>", false), (std::vector<token_id>{3, 11 + '<', 11 + 's', 11 + '>'}));

  gguf_writer without_bytes;
  tiny_vocabulary(without_bytes, false);
  EXPECT_EQ(toy::tokenizer(parsed(without_bytes)).encode("a\xc3\xa9z", false), (std::vector<token_id>{3, 4, 0, 0}));
}

TEST(tokenizer, inconsistent_vocabularies_are_refused) {
  const auto refusal = [](const gguf_writer& writer) {
    return message_of([&] { toy::tokenizer tokenizer(parsed(writer)); });
  };
  EXPECT_NE(refusal({}).find("expected the metadata key 'tokenizer.ggml.model'"), std::string::npos);
  EXPECT_NE(refusal(gguf_writer().value("tokenizer.ggml.model", std::string_view("gpt2"))).find("got 'gpt2'"),
            std::string::npos);
  const auto with = [](std::vector<float> scores, std::vector<std::int32_t> types, std::uint32_t bos) {
    gguf_writer writer;
    writer.value("tokenizer.ggml.model", std::string_view("llama")).strings("tokenizer.ggml.tokens", {"a", "b"});
    writer.numbers("tokenizer.ggml.scores", gguf_type::float32, scores);
    writer.numbers("tokenizer.ggml.token_type", gguf_type::int32, types);
    writer.value("tokenizer.ggml.bos_token_id", bos);
    return writer;
  };
  EXPECT_EQ(refusal(with({0, 0}, {1, 1}, 1)), "no exception");
  EXPECT_NE(refusal(with({0}, {1, 1}, 1)).find("as many scores and types as tokens (2), got 1 and 2"),
            std::string::npos);
  EXPECT_NE(refusal(with({0, NAN}, {1, 1}, 1)).find("got NaN"), std::string::npos);
  EXPECT_NE(refusal(with({0, 0}, {1, 7}, 1)).find("to be 1..6"), std::string::npos);
  EXPECT_NE(refusal(with({0, 0}, {1, 6}, 1)).find("written <0xNN>"), std::string::npos);
  EXPECT_NE(refusal(with({0, 0}, {1, 1}, 2)).find("below the vocabulary size 2, got 2"), std::string::npos);
}

TEST(model, agrees_with_the_double_precision_reference) {
  const auto tokens = text_tokens();
  for (const char* name : {"target.gguf", "draft.gguf", "draft-mini.gguf"}) {
    const gguf_file file(models / name);
    EXPECT_LT(largest_difference(all_logits(model(file), tokens), toy_reference::logits(file, tokens)), 1e-4) << name;
  }
}

TEST(model, agrees_with_the_reference_in_every_shape) {
  std::vector<tiny_shape> shapes(5);
  shapes[1] = {.vocabulary = 37,
               .width = 40,
               .layers = 3,
               .heads = 4,
               .key_value_heads = 1,
               .head_size = 10,
               .rotary_size = 6,
               .feed_forward = 50,
               .context_length = 70,
               .attention = toy::tensor_type::float32,
               .feed_forward_type = toy::tensor_type::float16,
               .untied = false};
  shapes[2].feed_forward = 1120;
  shapes[2].heads = 6;
  shapes[2].head_size = 24;
  shapes[2].rotary_size = 24;
  shapes[3].width = 544;
  shapes[3].vocabulary = 130;
  shapes[3].attention = toy::tensor_type::q8_0;
  shapes[4] = {.vocabulary = 3,
               .width = 2,
               .layers = 1,
               .heads = 1,
               .key_value_heads = 1,
               .head_size = 2,
               .rotary_size = 2,
               .feed_forward = 1,
               .context_length = 67,
               .attention = toy::tensor_type::float32,
               .feed_forward_type = toy::tensor_type::float32};
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const gguf_file file = parsed(tiny_model(shapes[i]));
    const auto tokens = some_tokens(67, shapes[i].vocabulary);
    EXPECT_LT(largest_difference(all_logits(model(file), tokens), toy_reference::logits(file, tokens)), 1e-4) << i;
  }
}

TEST(model, half_storage_of_a_half_file_changes_no_bit) {
  const auto tokens = text_tokens();
  load_options options;
  const gguf_file file(models / "draft.gguf");
  const auto expected = all_logits(model(file, options), tokens);
  options.format = weight_format::float16;
  EXPECT_TRUE(same_bits(all_logits(model(file, options), tokens), expected));
}

TEST(model, half_storage_of_other_files_is_close) {
  const gguf_file file = parsed(tiny_model({}));
  const auto tokens = some_tokens(60, 50);
  load_options options;
  options.format = weight_format::float16;
  const double difference =
      largest_difference(all_logits(model(file, options), tokens), toy_reference::logits(file, tokens));
  EXPECT_GT(difference, 0.0);
  EXPECT_LT(difference, 0.05);
}

TEST(model, ballast_changes_no_bit) {
  const auto tokens = text_tokens();
  const gguf_file file(models / "target.gguf");
  const model plain(file);
  const auto expected = all_logits(plain, tokens);
  for (const weight_format format : {weight_format::float32, weight_format::float16}) {
    load_options options;
    options.format = format;
    options.ballast_parameters = plain.parameter_count() + 4'000'000;
    const model widened(file, options);
    EXPECT_NEAR(static_cast<double>(widened.parameter_count()), static_cast<double>(options.ballast_parameters), 1e5);
    const double bytes = static_cast<double>(widened.parameter_count()) * (format == weight_format::float32 ? 4 : 2);
    EXPECT_NEAR(static_cast<double>(widened.bytes_per_pass()) / bytes, 1.0, 0.01);
    EXPECT_TRUE(same_bits(all_logits(widened, tokens), expected));
  }
  load_options fewer;
  fewer.ballast_parameters = plain.parameter_count() / 2;
  EXPECT_EQ(model(file, fewer).parameter_count(), plain.parameter_count());
}

TEST(model, bits_do_not_depend_on_instruction_set_or_threads) {
  const auto tokens = text_tokens();
  const gguf_file target(models / "target.gguf");
  const gguf_file odd = parsed(tiny_model({.vocabulary = 37,
                                           .width = 72,
                                           .head_size = 20,
                                           .rotary_size = 18,
                                           .feed_forward = 544,
                                           .attention = toy::tensor_type::float32,
                                           .feed_forward_type = toy::tensor_type::float16}));
  for (const weight_format format : {weight_format::float32, weight_format::float16}) {
    std::map<const gguf_file*, logits_rows> expected;
    for (const char* name : toy_test::tiers()) {
      const toy_test::forced_tier forced(name);
      for (const unsigned threads : {1u, 2u, 5u}) {
        for (const gguf_file* file : {&target, &odd}) {
          const model loaded(*file, {format, 0, threads});
          EXPECT_STREQ(loaded.instruction_set(), name);
          auto logits = all_logits(loaded, file == &odd ? some_tokens(80, 37) : tokens);
          const auto [first, inserted] = expected.emplace(file, logits);
          if (!inserted) {
            EXPECT_TRUE(same_bits(logits, first->second)) << name << ", " << threads << " threads";
          }
        }
      }
    }
  }
}

// The number was the same for GCC 12 and Clang 14 on x86-64, with every instruction set, and for GCC 12 on AArch64.
TEST(model, bits_are_the_same_on_every_platform) {
  std::uint64_t hash = 14695981039346656037u;
  for (const auto& row : all_logits(model(parsed(tiny_model({}))), some_tokens(60, 50)))
    for (const float logit : row) hash = (hash ^ std::bit_cast<std::uint32_t>(logit)) * 1099511628211u;
  EXPECT_EQ(hash, 0xce1522f51d6646b1u);
}

TEST(kernels, rms_norm_keeps_the_padding_zero) {
  for (const char* name : toy_test::tiers()) {
    const toy_test::forced_tier forced(name);
    alignas(64) const float zeros[16] = {};
    alignas(64) float out[16] = {};
    toy::kernels::choose().rms_norm(zeros, zeros, 5, 0.0f, out);  // scaled by infinity
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(std::isnan(out[i]), i < 5) << name << ", element " << i;
  }
}

TEST(model, unknown_instruction_sets_are_refused) {
  const toy_test::forced_tier forced("avx9");
  EXPECT_EQ(message_of([] { static_cast<void>(toy::kernels::choose()); }),
            "TOY_ISA: expected baseline, avx2 or avx512, got 'avx9'");
}

TEST(context, a_row_has_the_same_bits_alone_and_in_company) {
  const auto tokens = text_tokens();
  for (const char* isa : toy_test::tiers()) {
    const toy_test::forced_tier forced(isa);
    for (const char* name : {"target.gguf", "draft.gguf"}) {
      const model model(models / name);
      context one(model);
      logits_rows alone;
      for (const token_id token : tokens) alone.push_back(copied(one.decode({&token, 1}, 1))[0]);
      for (std::size_t company = 2; company <= 17; ++company) {
        context many(model);
        logits_rows rows;
        for (std::size_t at = 0; at < tokens.size(); at += company) {
          const auto part = std::span(tokens).subspan(at, std::min(company, tokens.size() - at));
          for (auto& row : all_logits(many, part)) rows.push_back(std::move(row));
        }
        ASSERT_TRUE(same_bits(rows, alone)) << isa << ' ' << name << " by " << company;
      }
    }
  }
}

TEST(context, prompts_of_any_length_and_any_rows_agree) {
  const model model(models / "draft-mini.gguf");
  auto tokens = text_tokens();
  while (tokens.size() < 200) tokens.insert(tokens.end(), tokens.begin(), tokens.begin() + 10);
  tokens.resize(200);
  const auto expected = all_logits(model, tokens);
  for (const std::size_t size : {1u, 63u, 64u, 65u, 127u, 128u, 129u, 200u}) {
    for (const std::size_t rows : {0u, 1u, 2u, 64u, 65u, 73u, 200u}) {
      if (rows > size) continue;
      context fresh(model);
      const auto got = copied(fresh.decode(std::span(tokens).first(size), rows));
      const auto* first = expected.data() + (size - rows);
      ASSERT_TRUE(same_bits(got, logits_rows(first, first + rows))) << size << " tokens, " << rows << " rows";
      EXPECT_EQ(fresh.size(), size);
    }
  }
}

TEST(context, truncating_and_scoring_again_changes_no_bit) {
  const model model(models / "draft.gguf");
  const auto tokens = text_tokens();
  const auto expected = all_logits(model, tokens);
  context context(model);
  static_cast<void>(context.decode(tokens, 0));
  for (const std::size_t keep : {tokens.size(), std::size_t{70}, std::size_t{64}, std::size_t{17}, std::size_t{0}}) {
    // What was beyond the cut must leave no trace, so other tokens go there first.
    context.truncate(keep);
    static_cast<void>(context.decode(some_tokens(40, 4096), 3));
    context.truncate(keep);
    EXPECT_EQ(context.size(), keep);
    EXPECT_EQ(std::vector<token_id>(context.tokens().begin(), context.tokens().end()),
              std::vector<token_id>(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(keep)));
    const auto rest = std::span(tokens).subspan(keep);
    ASSERT_TRUE(same_bits(all_logits(context, rest),
                          logits_rows(expected.begin() + static_cast<std::ptrdiff_t>(keep), expected.end())));
  }
}

TEST(context, errors_say_what_came_and_change_nothing) {
  const model model(models / "draft-mini.gguf");
  context context(model, 10);
  EXPECT_EQ(context.capacity(), 10u);
  EXPECT_EQ(context.vocab_size(), 4096u);
  const std::vector<token_id> tokens{1, 300, 301};
  const auto expected = all_logits(context, tokens);
  const auto refusal = [&](std::vector<token_id> given, std::size_t rows) {
    return message_of([&] { static_cast<void>(context.decode(given, rows)); });
  };
  EXPECT_EQ(refusal({1, 4096}, 1), "toy::context::decode: expected tokens in 0..4095, got 4096 at index 1");
  EXPECT_EQ(refusal({-1}, 1), "toy::context::decode: expected tokens in 0..4095, got -1 at index 0");
  EXPECT_EQ(refusal({1}, 2), "toy::context::decode: expected at most as many rows as tokens (1), got 2");
  EXPECT_EQ(refusal(some_tokens(8, 4096), 1),
            "toy::context::decode: expected at most 7 tokens, the room left of 10, got 8");
  EXPECT_THROW(static_cast<void>(context.decode(some_tokens(8, 4096), 1)), std::length_error);
  EXPECT_EQ(message_of([&] { context.truncate(4); }),
            "toy::context::truncate: expected at most the context's 3 tokens, got 4");
  EXPECT_EQ(message_of([&] { toy::context too_long(model, 513); }),
            "toy::context: expected a capacity of at most the model's context length 512, got 513");
  EXPECT_EQ(context.size(), 3u);
  EXPECT_EQ(context.decode({}, 0).size(), 0u);
  context.truncate(0);
  EXPECT_TRUE(same_bits(all_logits(context, tokens), expected));
  static_cast<void>(context.decode(some_tokens(7, 4096), 0));
  EXPECT_EQ(context.size(), 10u);
}

TEST(context, contexts_of_one_model_work_at_the_same_time) {
  const model model(models / "draft.gguf", {weight_format::float32, 0, 2});
  const auto tokens = text_tokens();
  const auto expected = all_logits(model, tokens);
  logits_rows other;
  std::thread thread([&] { other = all_logits(model, tokens); });
  const auto mine = all_logits(model, tokens);
  thread.join();
  EXPECT_TRUE(same_bits(mine, expected));
  EXPECT_TRUE(same_bits(other, expected));
}

TEST(context, can_be_moved) {
  const auto make = [] {
    context inner(model(models / "draft-mini.gguf"), 16);
    static_cast<void>(inner.decode(std::vector<token_id>{1, 2, 3}, 0));
    return inner;
  };
  context moved = make();
  EXPECT_EQ(moved.size(), 3u);
  EXPECT_EQ(moved.decode(std::vector<token_id>{4}, 1).size(), 1u);
}

TEST(model, files_that_do_not_fit_are_refused) {
  const auto refusal = [](const gguf_writer& writer) { return message_of([&] { model loaded(parsed(writer)); }); };
  EXPECT_EQ(refusal(tiny_model({})), "no exception");
  EXPECT_EQ(refusal({}), "test.gguf: expected the metadata key 'general.architecture', found none");
  EXPECT_NE(refusal(gguf_writer().value("general.architecture", std::string_view("gpt2"))).find("got 'gpt2'"),
            std::string::npos);
  EXPECT_NE(refusal(tiny_model({.heads = 4, .key_value_heads = 3})).find("got 4 and 3"), std::string::npos);
  EXPECT_NE(refusal(tiny_model({.rotary_size = 18})).find("of at most 16, got 18"), std::string::npos);
  EXPECT_NE(refusal(tiny_model({.rotary_size = 15})).find("an even llama.rope.dimension_count"), std::string::npos);
  EXPECT_NE(refusal(tiny_model({}).value("llama.vocab_size", 51u)).find("= 51 rows, got 50"), std::string::npos);
  EXPECT_NE(refusal(tiny_model({}).value("llama.rope.scaling.type", std::string_view("yarn"))).find("not supported"),
            std::string::npos);
  EXPECT_NE(refusal(tiny_model({}).tensor("blk.0.attn_q.bias", {4}, toy::tensor_type::float32, {0, 0, 0, 0}))
                .find("does not have: 'blk.0.attn_q.bias'"),
            std::string::npos);
  gguf_writer narrow;
  narrow.tensor("output_norm.weight", {3}, toy::tensor_type::float32, {1, 1, 1});
  EXPECT_EQ(message_of([&] {
              const std::size_t shape[] = {4};
              static_cast<void>(parsed(narrow).tensor("output_norm.weight", shape));
            }),
            "test.gguf: expected tensor 'output_norm.weight' of shape [4] (columns first), got [3]");
}

}  // namespace
