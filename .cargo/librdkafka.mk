# The first build waits for librdkafka. So: only the library that is linked, and in a build without optimisation (Cargo's OPT_LEVEL)
# this one without it, too, as the `cc` crate does it for the other libraries in C. A release build is as librdkafka has it.

# Not the one for C++.
override LIBSUBDIRS = src
ifeq ($(OPT_LEVEL),0)
CFLAGS += -O0 -g0
endif
