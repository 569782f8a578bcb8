/* A clock that is APART seconds away from the machine's, for the program that loads this before its libc: AFTER seconds
 * after the program's first look at it. Only the clock that tells the date; and without headers, which not every machine has.
 */
struct timespec {
    long seconds, nanoseconds;
};
struct timeval {
    long seconds, microseconds;
};
enum { DATE = 0, STEADY = 1, CLOCK_GETTIME = 228 };
long syscall(long number, ...);

static long first;

int clock_gettime(int clock, struct timespec *now)
{
    struct timespec steady;
    long failed = syscall(CLOCK_GETTIME, clock, now);
    if (failed || clock != DATE)
        return failed;
    syscall(CLOCK_GETTIME, STEADY, &steady);
    if (!first)
        first = steady.seconds + AFTER;
    if (steady.seconds >= first)
        now->seconds += APART;
    return 0;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec found;
    clock_gettime(DATE, &found);
    now->seconds = found.seconds;
    now->microseconds = found.nanoseconds / 1000;
    return 0;
}

long time(long *place)
{
    struct timespec found;
    clock_gettime(DATE, &found);
    if (place)
        *place = found.seconds;
    return found.seconds;
}
