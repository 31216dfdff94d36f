package simctl;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.channels.spi.SelectorProvider;
import java.util.Map;
import java.util.Set;

/** A real channel, which reports to calls the exchanges that it carries. Nothing is changed on the way. */
final class RecordingChannel extends SocketChannel {
    private final SocketChannel real;
    private volatile Call call = Context.current();
    private Exchange exchange;
    private Head response;
    private Call carried;
    private int requests;

    RecordingChannel(SelectorProvider provider, SocketChannel real) {
        super(provider);
        this.real = real;
    }

    /** May throw ClosedChannelException, as register() may, for which the method between the two has no `throws`. */
    SelectionKey registerReal(Selector selector, int operations) {
        try {
            return real.register(selector, operations);
        } catch (ClosedChannelException closed) {
            throw RecordingChannel.<RuntimeException>unchecked(closed);
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E unchecked(Throwable checked) throws E {
        throw (E) checked;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
        return (int) write(new ByteBuffer[] {source}, 0, 1);
    }

    @Override
    public long write(ByteBuffer[] sources, int offset, int length) throws IOException {
        carry(sources[offset]);
        try {
            long count = real.write(sources, offset, length);
            wrote(sources, offset, length);
            return count;
        } catch (IOException error) {
            throw failed(error);
        }
    }

    private synchronized void wrote(ByteBuffer[] sources, int offset, int length) {
        boolean left = false;
        for (int place = offset; place < offset + length; place++) {
            left |= sources[place].hasRemaining();
        }
        if (exchange != null) {
            exchange.sending(left);
        }
    }

    /** Before the first bytes of a request: `head` begins with its head. */
    private synchronized void carry(ByteBuffer head) throws IOException {
        if (call == null || call == carried || !head.hasRemaining()) {
            return;
        }
        carried = call;
        requests++;
        Map<String, String> headers = Head.of(head.duplicate()).headers();
        exchange = new Exchange(text(getLocalAddress()), text(getRemoteAddress()), requests, headers);
        response = new Head();
        call.add(exchange);
    }

    @Override
    public int read(ByteBuffer target) throws IOException {
        if (target.remaining() == 1 && !target.isDirect()) {
            return probe(target);
        }
        return (int) read(new ByteBuffer[] {target}, 0, 1);
    }

    /** So the library sees whether a pooled connection is alive, before it takes it for the call of this thread. */
    private int probe(ByteBuffer target) throws IOException {
        int count = real.read(target);
        if (count == 0) {
            call = Context.current();
        }
        return count;
    }

    @Override
    public long read(ByteBuffer[] targets, int offset, int length) throws IOException {
        takeOver();
        ByteBuffer first = targets[offset].duplicate();
        try {
            long count = real.read(targets, offset, length);
            if (count < 0) {
                failed(new EOFException("end of file"));
            } else if (count > 0) {
                received(first.limit(targets[offset].position()));
            }
            return count;
        } catch (IOException error) {
            throw failed(error);
        }
    }

    private synchronized void received(ByteBuffer bytes) {
        if (exchange != null && response.add(bytes) && response.status() != 0) {
            exchange.responded(response.status(), response.headers());
        }
    }

    @Override
    public boolean finishConnect() throws IOException {
        takeOver();
        try {
            return real.finishConnect();
        } catch (IOException error) {
            throw unconnected(error);
        }
    }

    @Override
    public boolean connect(SocketAddress remote) throws IOException {
        try {
            return real.connect(remote);
        } catch (IOException error) {
            throw unconnected(error);
        }
    }

    /** What the selector's thread does now is for the call of this channel. */
    private void takeOver() {
        if (Context.selects()) {
            Context.set(call);
        }
    }

    private synchronized IOException failed(IOException error) {
        if (exchange != null && !(error instanceof ClosedChannelException)) { // that is: closed by the library itself
            exchange.failed(error);
        }
        return error;
    }

    private IOException unconnected(IOException error) {
        if (call != null && !(error instanceof ClosedChannelException)) {
            call.unconnected(error);
        }
        return error;
    }

    private static String text(SocketAddress address) {
        InetSocketAddress internet = (InetSocketAddress) address;
        return internet.getAddress().getHostAddress() + ":" + internet.getPort();
    }

    @Override
    public SocketChannel bind(SocketAddress local) throws IOException {
        real.bind(local);
        return this;
    }

    @Override
    public <T> SocketChannel setOption(SocketOption<T> name, T value) throws IOException {
        real.setOption(name, value);
        return this;
    }

    @Override
    public <T> T getOption(SocketOption<T> name) throws IOException {
        return real.getOption(name);
    }

    @Override
    public Set<SocketOption<?>> supportedOptions() {
        return real.supportedOptions();
    }

    @Override
    public SocketChannel shutdownInput() throws IOException {
        real.shutdownInput();
        return this;
    }

    @Override
    public SocketChannel shutdownOutput() throws IOException {
        real.shutdownOutput();
        return this;
    }

    @Override
    public Socket socket() {
        return real.socket();
    }

    @Override
    public boolean isConnected() {
        return real.isConnected();
    }

    @Override
    public boolean isConnectionPending() {
        return real.isConnectionPending();
    }

    @Override
    public SocketAddress getRemoteAddress() throws IOException {
        return real.getRemoteAddress();
    }

    @Override
    public SocketAddress getLocalAddress() throws IOException {
        return real.getLocalAddress();
    }

    @Override
    protected void implCloseSelectableChannel() throws IOException {
        real.close();
    }

    @Override
    protected void implConfigureBlocking(boolean block) throws IOException {
        real.configureBlocking(block);
    }

    @Override
    public String toString() {
        return real.toString();
    }
}
