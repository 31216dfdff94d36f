package simctl;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * When requests are sent, as nodes/base/pacing.py does it: by workers, one after the other, or by the clock, whatever
 * became of those before. Times are nanoseconds, as nanoTime() gives them.
 */
final class Pacing {
    private Pacing() {}

    /**
     * Have all requests of the command sent, each by a call of `send` with its number, several at a time, and return
     * when the last has ended. A rate is told of as a `load` event.
     */
    static void pace(Command command, IntConsumer send) {
        if (command.rate() != null) {
            new Clock(command, send).run();
            return;
        }
        long begun = System.nanoTime();
        AtomicInteger taken = new AtomicInteger();
        List<Thread> workers = new ArrayList<>();
        for (int number = 1; number < Math.min(command.concurrency(), command.count()); number++) {
            int worker = number;
            Thread thread = new Thread(() -> work(command, worker, begun, taken, send));
            thread.start();
            workers.add(thread);
        }
        work(command, 0, begun, taken, send);
        workers.forEach(Pacing::join);
    }

    /** Workers share the count. */
    private static void work(Command command, int worker, long begun, AtomicInteger taken, IntConsumer send) {
        for (int pauses = 0; left(command, begun) > 0; pauses++) {
            int n = taken.incrementAndGet();
            if (n > command.count()) {
                return;
            }
            send.accept(n);
            if (n < command.count()) {
                sleepUntil(System.nanoTime() + Math.min(pause(command, worker, pauses), left(command, begun)));
            }
        }
    }

    /** Nanoseconds in which requests may begin. */
    private static long left(Command command, long begun) {
        return command.duration() == null
                ? Long.MAX_VALUE
                : begun + command.duration().toNanos() - System.nanoTime();
    }

    /** Of a worker; `number` counts its pauses from 0. */
    private static long pause(Command command, int worker, int number) {
        long least = command.interval().toNanos();
        if (command.intervalMost() == null) {
            return least;
        }
        double share = share(command.seed() + " " + worker + " " + number);
        return least + Math.round((command.intervalMost().toNanos() - least) * share);
    }

    /** At least 0 and less than 1: the same in every run, and of every kind of client. */
    private static double share(String of) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(of.getBytes(StandardCharsets.UTF_8));
            return (ByteBuffer.wrap(digest).getLong() >>> 11) * 0x1p-53;
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible); // every Java has it
        }
    }

    /** Not before it. Thread.sleep() would round to milliseconds. */
    private static void sleepUntil(long time) {
        for (long left = time - System.nanoTime(); left > 0; left = time - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException impossible) {
            throw new IllegalStateException(impossible); // nobody interrupts these threads
        }
    }

    /**
     * Sends each request at its time: a worker that is free takes it, or a new one. When as many as there may be are
     * busy, it waits, and is late.
     */
    private static final class Clock {
        /** After its time, from which a request counts as sent late. */
        private static final long LATE = 10_000_000;

        private final Command command;
        private final IntConsumer send;
        private final long t0 = System.nanoTime();
        private final List<Thread> workers = new ArrayList<>();
        private final Deque<Integer> due = new ArrayDeque<>();
        private int free;
        private boolean over;
        private int sent;
        private int late;
        private long lateness;
        private long last = t0;

        Clock(Command command, IntConsumer send) {
            this.command = command;
            this.send = send;
        }

        void run() {
            for (int n = 1; n <= command.count(); n++) {
                sleepUntil(time(n));
                if (handOver(n)) {
                    Thread worker = new Thread(this::work);
                    workers.add(worker);
                    worker.start();
                }
            }
            end();
            workers.forEach(Pacing::join);
            Map<String, Object> load = new LinkedHashMap<>();
            load.put("t0", Events.seconds(t0));
            load.put("id", command.id());
            load.put("session", command.session());
            load.put("rate", command.rate());
            load.put("asked", command.count());
            load.put("sent", sent);
            load.put("late", late);
            load.put("lateness", microseconds(lateness));
            load.put("seconds", microseconds(last - t0));
            Events.emit("load", load);
        }

        /** When that request has to be sent: rounded up, so that it is never before it. */
        private long time(int n) {
            return t0 + (long) Math.ceil((n - 1) / command.rate() * 1e9);
        }

        /** Whether one more worker is wanted. */
        private synchronized boolean handOver(int n) {
            due.add(n);
            if (free >= due.size()) {
                notify();
                return false;
            }
            return workers.size() < command.concurrency();
        }

        private synchronized void end() {
            over = true;
            notifyAll();
        }

        private void work() {
            for (int n = take(); n > 0; n = take()) {
                send.accept(n);
            }
        }

        /** The next that is due, which is sent now; 0 when there is none any more. */
        private synchronized int take() {
            free++;
            while (due.isEmpty() && !over) {
                try {
                    wait();
                } catch (InterruptedException impossible) {
                    throw new IllegalStateException(impossible);
                }
            }
            free--;
            if (due.isEmpty()) {
                return 0;
            }
            int n = due.remove();
            long now = System.nanoTime();
            sent++;
            late += now - time(n) > LATE ? 1 : 0;
            lateness = Math.max(lateness, now - time(n));
            last = Math.max(last, now);
            return n;
        }

        private static BigDecimal microseconds(long nanos) {
            return Events.seconds(nanos).setScale(6, RoundingMode.HALF_EVEN);
        }
    }
}
