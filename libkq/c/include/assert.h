/* assert(3). */
#ifndef KQ_ASSERT_H
#define KQ_ASSERT_H

_Noreturn void __kq_assert_failed(const char *what, const char *file, int line, const char *function);

#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) ((condition) ? (void)0 : __kq_assert_failed(#condition, __FILE__, __LINE__, __func__))
#endif

#define static_assert _Static_assert

#endif
