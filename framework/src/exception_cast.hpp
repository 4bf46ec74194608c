// exception_cast<T>(failure): the exception behind an exception_ptr if it is a T, without throwing it again. Throwing costs as much
// as the rest of an actor's end; only what the exception says is wanted.
//
// libstdc++ and libc++ have no such function before C++26 (P2927, exception_ptr_cast). With libstdc++ it asks the type of the
// thrown object as a catch clause does (the Itanium C++ ABI: exception handling, 2.5.5); with another library it does throw.
#pragma once
#include <cstring>
#include <exception>
#include <memory>
#include <type_traits>
#include <typeinfo>

namespace coppice::detail {

/// Null: it is not a T, or there is none. Valid for as long as the exception is held by a pointer.
template <class T>
const T* exception_cast(const std::exception_ptr& failure) noexcept {
    static_assert(std::is_class_v<T>);
    if (!failure) return nullptr;
#ifdef __GLIBCXX__
    static_assert(sizeof failure == sizeof(void*));
    void* object = nullptr;  // an exception_ptr of libstdc++ is a pointer to the thrown object
    std::memcpy(&object, &failure, sizeof object);
    // The last argument is how deep a pointer to a class is, plus one: here a class by itself.
    return typeid(T).__do_catch(failure.__cxa_exception_type(), &object, 1) ? static_cast<const T*>(object)
                                                                            : nullptr;
#else
    try {
        std::rethrow_exception(failure);
    } catch (const T& e) {
        return std::addressof(e);
    } catch (...) {  // of another type
        return nullptr;
    }
#endif
}

}  // namespace coppice::detail
