#include "waiting_threads.hpp"

namespace llama {
namespace {

using pool = std::unique_ptr<ggml_threadpool, void (*)(ggml_threadpool*)>;

pool pool_of(unsigned count) {
  pool none(nullptr, [](ggml_threadpool*) {});
  ggml_backend_dev_t processor = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (count < 2 || processor == nullptr) return none;
  // The backend may be a library of its own, that nobody is linked with.
  ggml_backend_reg_t backend = ggml_backend_dev_backend_reg(processor);
  const auto make = reinterpret_cast<decltype(&ggml_threadpool_new)>(
      ggml_backend_reg_get_proc_address(backend, "ggml_threadpool_new"));
  const auto free = reinterpret_cast<decltype(&ggml_threadpool_free)>(
      ggml_backend_reg_get_proc_address(backend, "ggml_threadpool_free"));
  if (make == nullptr || free == nullptr) return none;
  ggml_threadpool_params params = ggml_threadpool_params_default(static_cast<int>(count));
  return {make(&params), free};
}

}  // namespace

waiting_threads::waiting_threads(unsigned count) : pool_(pool_of(count)) {}

void waiting_threads::serve(llama_context* context) const {
  if (pool_) llama_attach_threadpool(context, pool_.get(), pool_.get());
}

}  // namespace llama
