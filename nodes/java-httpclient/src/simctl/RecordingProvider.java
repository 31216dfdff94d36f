package simctl;

import java.io.IOException;
import java.net.ProtocolFamily;
import java.nio.channels.Channel;
import java.nio.channels.DatagramChannel;
import java.nio.channels.Pipe;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.channels.spi.AbstractSelector;
import java.nio.channels.spi.SelectorProvider;

/**
 * The JDK's own channels, with a recorder around those of TCP: java.net.http says nothing of its connections, but
 * where its channels come from is a setting (java.nio.channels.spi.SelectorProvider).
 */
public final class RecordingProvider extends SelectorProvider {
    private final SelectorProvider real = sun.nio.ch.DefaultSelectorProvider.get();

    @Override
    public SocketChannel openSocketChannel() throws IOException {
        return new RecordingChannel(this, real.openSocketChannel());
    }

    @Override
    public AbstractSelector openSelector() throws IOException {
        return new RecordingSelector(this, real.openSelector());
    }

    @Override
    public DatagramChannel openDatagramChannel() throws IOException {
        return real.openDatagramChannel();
    }

    @Override
    public DatagramChannel openDatagramChannel(ProtocolFamily family) throws IOException {
        return real.openDatagramChannel(family);
    }

    @Override
    public Pipe openPipe() throws IOException {
        return real.openPipe();
    }

    @Override
    public ServerSocketChannel openServerSocketChannel() throws IOException {
        return real.openServerSocketChannel();
    }

    @Override
    public Channel inheritedChannel() throws IOException {
        return real.inheritedChannel();
    }
}
