/*
 * Makes the Nth system call of a kind fail, once or from then on: preloaded into a program, told by the environment.
 *
 *   FAULTS_PROCESS  name of the executable that it is for; others are let alone
 *   FAULTS_FOLDER   only calls that name something in it count
 *   FAULTS_KIND     which calls: see `calls`; or "read", which is opening for reading
 *   FAULTS_AT       which of them, from 1
 *   FAULTS_FOR_GOOD "1": all that follow as well
 *   FAULTS_ERROR    the errno; 0 for a write that writes a part only
 *   FAULTS_STATE    a file of the size of `struct state`, shared by all processes of the run
 *
 * The kernel hands the calls to us (seccomp, SIGSYS), as libraries make some without asking libc. A filter goes on to
 * children and outlives exec, where the handler is back only when we are loaded again: so whatever the dynamic loader
 * needs until then must not be caught, and what we let through is known to the filter by a sixth argument, of which the
 * kernel takes no notice.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define LET_THROUGH 0x5f41554cu
#define WRITING (O_ACCMODE | O_CREAT)
/* Of sendfile, which is told to send more than there is. */
#define SHORT 4096

#if defined(__x86_64__)
#define REGISTER(context, index) ((context)->uc_mcontext.gregs[(const int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9}[index]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define REGISTER(context, index) ((context)->uc_mcontext.regs[index])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "which registers have the arguments here?"
#endif

/* How a call names its file: by an open one, by a path, by a path from an open folder. */
enum names { FD, PATH, AT };

static const struct call {
    const char *kind;
    long number;
    enum names names;
    int flags; /* index of the argument that says whether it is for writing; 0: it is in any case */
} calls[] = {
    {"write", SYS_write, FD, 0},
    {"write", SYS_pwrite64, FD, 0},
    {"write", SYS_writev, FD, 0},
    {"write", SYS_sendfile, FD, 0},
    {"write", SYS_copy_file_range, FD, 0},
    {"fsync", SYS_fsync, FD, 0},
    {"fsync", SYS_fdatasync, FD, 0},
    {"open", SYS_openat, AT, 2},
    {"rename", SYS_renameat, AT, 0},
    {"rename", SYS_renameat2, AT, 0},
    {"rename", SYS_linkat, AT, 0},
    {"mkdir", SYS_mkdirat, AT, 0},
    {"unlink", SYS_unlinkat, AT, 0},
#ifdef SYS_open /* older architectures have these as well */
    {"open", SYS_open, PATH, 1},
    {"open", SYS_creat, PATH, 0},
    {"rename", SYS_rename, PATH, 0},
    {"rename", SYS_link, PATH, 0},
    {"mkdir", SYS_mkdir, PATH, 0},
    {"unlink", SYS_unlink, PATH, 0},
    {"unlink", SYS_rmdir, PATH, 0},
#endif
};
#define CALLS (sizeof calls / sizeof *calls)

struct state {
    _Atomic uint64_t count;
    char first[PATH_MAX]; /* what the first call was to be made on that failed */
};

static struct state *state; /* none in a process that is not meant */
static const char *folder, *kind;
static uint64_t at;
static int for_good, error;

/* What /proc/self/<name> is a link to; empty where it is none. */
static void read_link(const char *name, char *to, size_t size) {
    long length = syscall(SYS_readlinkat, AT_FDCWD, name, to, size - 1);
    to[length < 0 ? 0 : length] = 0;
}

static void fd_path(long fd, char *to, size_t size) {
    char link[40] = "/proc/self/cwd";
    if ((int)fd != AT_FDCWD) {
        char digits[12], *digit = digits + sizeof digits;
        *--digit = 0;
        unsigned rest = (unsigned)fd;
        do *--digit = (char)('0' + rest % 10); while (rest /= 10);
        strcpy(link, "/proc/self/fd/");
        strcat(link, digit);
    }
    read_link(link, to, size);
}

/* Where `path` from the open folder `fd` is, links in it not followed. */
static void place(long fd, const char *path, char *to, size_t size) {
    *to = 0;
    if (*path != '/') {
        fd_path(fd, to, size - 1);
        strcat(to, "/");
    }
    strncat(to, path, size - 1 - strlen(to));
}

/* Counts a call on `path`; whether it is to fail. */
static int fails(const char *path) {
    if (state == NULL || strncmp(path, folder, strlen(folder)) != 0) return 0;
    uint64_t number = atomic_fetch_add(&state->count, 1) + 1;
    if (number == at) strncpy(state->first, path, sizeof state->first - 1);
    return number == at || (for_good && number > at);
}

static long done(long result) { return result < 0 ? -errno : result; }

static long make(long number, long a[6]) {
    /* It has six arguments of its own. Whoever is told that there is no such call uses another. */
    if (number == SYS_copy_file_range) return -ENOSYS;
    return done(syscall(number, a[0], a[1], a[2], a[3], a[4], (long)LET_THROUGH));
}

static long make_in_part(long number, long a[6]) {
    if (number == SYS_writev) a[2] = 1;
    else if (number == SYS_sendfile) a[3] = a[3] < SHORT ? a[3] : SHORT;
    else a[2] = (a[2] + 1) / 2;
    return make(number, a);
}

static void caught(int signal, siginfo_t *info, void *raw) {
    (void)signal;
    ucontext_t *context = raw;
    int kept = errno;
    long a[6];
    for (int index = 0; index < 6; index++) a[index] = (long)REGISTER(context, index);
    const struct call *call = calls;
    while (call->number != info->si_syscall) call++;
    char path[2 * PATH_MAX];
    if (call->names == FD) fd_path(a[0], path, sizeof path);
    else if (call->names == PATH) place(AT_FDCWD, (const char *)a[0], path, sizeof path);
    else place(a[0], (const char *)a[1], path, sizeof path);
    long result;
    if (call->number == SYS_copy_file_range || !fails(path)) result = make(call->number, a);
    else result = error == 0 ? make_in_part(call->number, a) : -error;
    RESULT(context) = (greg_t)result;
    errno = kept;
}

/* Opening for reading is what the dynamic loader does, so it is caught at libc's door instead. */
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    char from[2 * PATH_MAX];
    if (state != NULL && strcmp(kind, "read") == 0 && (flags & WRITING) == 0) {
        place(AT_FDCWD, path, from, sizeof from);
        if (fails(from)) {
            errno = error;
            return -1;
        }
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

/* From now on the kernel hands us the calls of our kind. */
static void catch_calls(void) {
    struct sock_filter filter[1 + 7 * CALLS + 1] = {LOAD(nr)}, *next = filter + 1;
    for (const struct call *call = calls; call < calls + CALLS; call++) {
        if (strcmp(call->kind, kind) != 0) continue;
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call->number, 0, call->flags ? 7 : 4);
        if (call->flags) {
            *next++ = (struct sock_filter)LOAD(args[call->flags]);
            *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, WRITING, 1, 0);
            *next++ = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
        }
        *next++ = (struct sock_filter)LOAD(args[5]);
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LET_THROUGH, 0, 1);
        *next++ = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
        *next++ = (struct sock_filter)RETURN(SECCOMP_RET_TRAP);
    }
    *next++ = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)(next - filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) abort();
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) != 0) abort();
    char program[PATH_MAX];
    read_link("/proc/self/exe", program, sizeof program);
    const char *name = strrchr(program, '/');
    if (name == NULL || strcmp(name + 1, getenv("FAULTS_PROCESS")) != 0) return;
    folder = getenv("FAULTS_FOLDER");
    kind = getenv("FAULTS_KIND");
    at = strtoull(getenv("FAULTS_AT"), NULL, 10);
    for_good = strcmp(getenv("FAULTS_FOR_GOOD"), "1") == 0;
    error = atoi(getenv("FAULTS_ERROR"));
    int file = open(getenv("FAULTS_STATE"), O_RDWR | O_CLOEXEC);
    void *shared = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED) abort();
    close(file);
    state = shared;
    if (strcmp(kind, "read") != 0) catch_calls();
}
