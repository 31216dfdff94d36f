package simctl;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.util.thread.Scheduler;

/**
 * Jetty's own end point of a connection, which reports when and why Jetty closes: at its FIN.
 *
 * <p>What Jetty 9.4 does with an idle connection (AbstractConnection.onFillInterestedFailed, and seen with ss): at the
 * idle timeout it calls shutdownOutput() and goes on reading. The socket is in FIN_WAIT2, still with its owner and
 * without a kernel timer. When the client closes within a second idle period, TIME_WAIT is on this side, as usual.
 * Otherwise Jetty calls close() after that second period, and the socket is an orphan in FIN_WAIT2 for
 * tcp_fin_timeout from then. Winstone before Jetty, and `origin`, call close() at once.
 */
final class Wire extends SocketChannelEndPoint {
    private final boolean leak;
    private final Map<String, Object> names = new LinkedHashMap<>();
    private int requests;
    private boolean reported;
    private volatile boolean endOfFile;
    private volatile boolean idle;
    private volatile String last;
    private volatile Runnable unreported;

    Wire(SocketChannel channel, ManagedSelector selector, SelectionKey key, Scheduler scheduler, boolean leak) {
        super(channel, selector, key, scheduler);
        this.leak = leak;
        names.put("local", text(getLocalAddress()));
        names.put("peer", text(getRemoteAddress()));
    }

    Map<String, Object> names() {
        return names;
    }

    /** Counts a request; returns its number on this connection, from 1. Jetty handles one at a time. */
    synchronized int next() {
        return ++requests;
    }

    /** The response being written is the last of the connection: `request` or `limit`. */
    void last(String why) {
        last = why;
    }

    /** The response to the last request was written whole. The last one of the connection is reported at the FIN. */
    void written(int status) {
        long now = System.nanoTime();
        Map<String, Object> fields = new LinkedHashMap<>(names);
        fields.put("status", status);
        fields.put("nth", requests);
        Runnable report = () -> Events.emit("answered", now, fields);
        if (last == null) {
            report.run();
        } else {
            unreported = report;
        }
    }

    @Override
    public int fill(ByteBuffer buffer) throws IOException {
        int filled = super.fill(buffer);
        if (filled < 0) {
            endOfFile = true;
        } else if (filled > 0) {
            idle = false;
        }
        return filled;
    }

    @Override
    protected void onIdleExpired(TimeoutException timeout) {
        idle = true;
        super.onIdleExpired(timeout);
    }

    @Override
    protected void doShutdownOutput() {
        if (!leaks()) {
            reportClosed(super::doShutdownOutput);
        }
    }

    @Override
    public void doClose() {
        if (!leaks()) {
            reportClosed(super::doClose);
        }
    }

    private boolean leaks() {
        return leak && endOfFile && last == null && !Main.stopping;
    }

    /** Act first: between the last response and its FIN every microsecond counts, or the client closes first. */
    private void reportClosed(Runnable act) {
        long now = System.nanoTime();
        String why = reason();
        act.run();
        synchronized (this) {
            if (reported) {
                return;
            }
            reported = true;
        }
        if (unreported != null) {
            unreported.run();
        }
        Map<String, Object> fields = new LinkedHashMap<>(names);
        fields.put("reason", why);
        fields.put("requests", requests);
        Events.emit("closed", now, fields);
    }

    private String reason() {
        if (last != null) {
            return last;
        }
        if (endOfFile) {
            return "peer";
        }
        if (Main.stopping) {
            return "shutdown";
        }
        return idle ? "idle" : "error";
    }

    private static String text(InetSocketAddress address) {
        return address.getAddress().getHostAddress() + ":" + address.getPort();
    }
}
