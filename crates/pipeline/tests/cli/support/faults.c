/* Makes a system call of one program fail, as a disk or a kernel does, at its Nth time and on files of one folder only.
 * Loaded by LD_PRELOAD. The file that FAULTS names says what is to fail, in one line, or there is none:
 *     CALL ERRNO N ALWAYS PROGRAM FOLDER
 * with ERRNO 0 for a write of half of the bytes, and ALWAYS 1 for every time from the Nth on. When it has happened there is
 * a file FAULTS.happened. Calls by which files are copied without writing are not there: what is left to a program is write.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static char call[16], folder[PATH_MAX];
static int error_number, at, always, is_on;
static atomic_int count;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
    const char *plan = getenv("FAULTS");
    char program[PATH_MAX], self[PATH_MAX] = "";
    FILE *file = plan ? fopen(plan, "r") : NULL;
    if (!file) return;
    int read = fscanf(file, "%15s %d %d %d %4095s %4095[^\n]", call, &error_number, &at, &always, program, folder);
    fclose(file);
    if (read == 6 && readlink("/proc/self/exe", self, sizeof self - 1) > 0) is_on = strcmp(self, program) == 0;
    memmove(folder, folder + strspn(folder, " "), strlen(folder) + 1);
}

/* Straight to the kernel: this is no call of the program's. */
static void note(void) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.happened", getenv("FAULTS"));
    int fd = syscall(SYS_openat, AT_FDCWD, name, O_CREAT | O_WRONLY, 0600);
    if (fd >= 0) syscall(SYS_close, fd);
}

static int is_below(const char *path) {
    char absolute[PATH_MAX];
    if (path[0] != '/') {
        size_t length;
        if (!getcwd(absolute, sizeof absolute)) return 0;
        length = strlen(absolute);
        snprintf(absolute + length, sizeof absolute - length, "/%s", path);
        path = absolute;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_of_folder(int fd) {
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    /* Others than files are 'pipe:[1]' and the like. */
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return is_below(path);
}

/* Whether this is the time. */
static int fails(const char *name) {
    if (strcmp(name, call) != 0) return 0;
    int number = atomic_fetch_add(&count, 1) + 1;
    if (number < at || (number > at && !always)) return 0;
    note();
    errno = error_number;
    return 1;
}

#define FAILS_AT_PATH(name, path) (is_on && is_below(path) && fails(name))
#define FAILS_AT_FD(name, fd) (is_on && is_of_folder(fd) && fails(name))

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return FAILS_AT_PATH("open", path) ? -1 : real(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    if (!FAILS_AT_FD("write", fd)) return real(fd, bytes, length);
    return error_number ? -1 : real(fd, bytes, length > 1 ? length / 2 : length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at_byte) {
    REAL(pwrite64);
    if (!FAILS_AT_FD("write", fd)) return real(fd, bytes, length, at_byte);
    return error_number ? -1 : real(fd, bytes, length > 1 ? length / 2 : length, at_byte);
}

int fsync(int fd) {
    REAL(fsync);
    return FAILS_AT_FD("fsync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return FAILS_AT_FD("fsync", fd) ? -1 : real(fd);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return FAILS_AT_PATH("rename", to) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return FAILS_AT_PATH("mkdir", path) ? -1 : real(path, mode);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    REAL(copy_file_range);
    if (!is_on) return real(in, in_at, out, out_at, length, flags);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int out, int in, off64_t *at_byte, size_t length) {
    ssize_t (*real)(int, int, off64_t *, size_t) = (ssize_t (*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
    if (!is_on) return real(out, in, at_byte, length);
    errno = ENOSYS;
    return -1;
}
