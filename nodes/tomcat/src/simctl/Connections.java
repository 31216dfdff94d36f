package simctl;

import java.io.IOException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.tomcat.util.net.AbstractEndpoint.Handler;
import org.apache.tomcat.util.net.NioChannel;
import org.apache.tomcat.util.net.SocketEvent;
import org.apache.tomcat.util.net.SocketWrapperBase;

/** Tomcat's own handler of connections, which reports when and why Tomcat closes one: just before it calls close(). */
final class Connections implements Handler<NioChannel> {
    /** What is known of one connection. */
    static final class State {
        private final Map<String, Object> names = new LinkedHashMap<>();
        private int requests;
        private volatile String last;

        State(String local, String peer) {
            names.put("local", local);
            names.put("peer", peer);
        }

        Map<String, Object> names() {
            return names;
        }

        /** Counts a request; returns its number, from 1. Tomcat handles one at a time. */
        synchronized int next() {
            return ++requests;
        }

        private synchronized int requests() {
            return requests;
        }

        /** A response was written whole. The last one of a connection is reported beside the FIN, not before it. */
        void answered(int status, int nth) {
            long now = System.nanoTime();
            Map<String, Object> fields = new LinkedHashMap<>(names);
            fields.put("status", status);
            fields.put("nth", nth);
            if (last == null) {
                Events.emit("answered", now, fields);
            } else {
                report("answered", now, fields);
            }
        }

        /** The response being written is the last of the connection: `request`, `limit` or `error`. */
        void last(String why) {
            last = why;
        }
    }

    /** Between the last response and its FIN every microsecond counts, or the client closes first. */
    private static final ExecutorService REPORTER = Executors.newSingleThreadExecutor(work -> {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    });

    private final Handler<NioChannel> real;
    private final Map<String, State> states = new ConcurrentHashMap<>();
    private volatile boolean stopping;

    Connections(Handler<NioChannel> real) {
        this.real = real;
    }

    static void report(String kind, long now, Map<String, Object> fields) {
        REPORTER.execute(() -> Events.emit(kind, now, fields));
    }

    /** By Tomcat's name for the connection, which a request has too. */
    State state(String id) {
        return states.get(id);
    }

    void stopping() {
        stopping = true;
    }

    /** All is closed: wait until it is reported. */
    void stopped() throws InterruptedException {
        REPORTER.shutdown();
        REPORTER.awaitTermination(1, TimeUnit.SECONDS);
    }

    @Override
    public SocketState process(SocketWrapperBase<NioChannel> socket, SocketEvent status) {
        states.computeIfAbsent(id(socket), name -> new State(
                socket.getLocalAddr() + ":" + socket.getLocalPort(),
                socket.getRemoteAddr() + ":" + socket.getRemotePort()));
        return real.process(socket, status);
    }

    @Override
    public void release(SocketWrapperBase<NioChannel> socket) {
        State state = states.remove(id(socket));
        long now = System.nanoTime();
        String why = state == null ? "" : reason(socket, state);
        real.release(socket);
        if (state != null) {
            Map<String, Object> fields = new LinkedHashMap<>(state.names);
            fields.put("reason", why);
            fields.put("requests", state.requests());
            report("closed", now, fields);
        }
    }

    private String reason(SocketWrapperBase<NioChannel> socket, State state) {
        if (state.last != null) {
            return state.last;
        }
        if (socket.getError() instanceof SocketTimeoutException) {
            return "idle";
        }
        if (stopping) {
            return "shutdown";
        }
        return socket.getError() == null && atEnd(socket.getSocket().getIOChannel()) ? "peer" : "error";
    }

    /** Tomcat has read the end of file, and it can be read again. */
    private static boolean atEnd(SocketChannel channel) {
        try {
            return channel.read(ByteBuffer.allocate(1)) < 0;
        } catch (IOException reset) {
            return false;
        }
    }

    private static String id(SocketWrapperBase<NioChannel> socket) {
        return socket.getServletConnection("http/1.1", "").getConnectionId();
    }

    @Override
    public Object getGlobal() {
        return real.getGlobal();
    }

    @Override
    public void pause() {
        real.pause();
    }

    @Override
    public void recycle() {
        real.recycle();
    }
}
