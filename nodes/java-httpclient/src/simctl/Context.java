package simctl;

import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Which call a thread works for. The library hands work from thread to thread by its executor, and the call goes with
 * it: so the channels (RecordingChannel) know whose request they carry.
 */
final class Context {
    private static final ThreadLocal<Call> CURRENT = new ThreadLocal<>();
    private static final ThreadLocal<Boolean> SELECTS = ThreadLocal.withInitial(() -> false);
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(work -> {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    });

    /** A pool of threads like the one that the library has of its own. */
    static final Executor EXECUTOR = work -> {
        Call call = current();
        THREADS.execute(() -> {
            set(call);
            try {
                work.run();
            } finally {
                set(null);
            }
        });
    };

    private Context() {}

    static Call current() {
        return CURRENT.get();
    }

    static void set(Call call) {
        CURRENT.set(call);
    }

    /** Whether this is a selector's thread, which goes from channel to channel, for one call after the other. */
    static boolean selects() {
        return SELECTS.get();
    }

    static void setSelects() {
        SELECTS.set(true);
    }
}
