package simctl;

import java.io.IOException;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.spi.AbstractSelectableChannel;
import java.nio.channels.spi.AbstractSelectionKey;
import java.nio.channels.spi.AbstractSelector;
import java.nio.channels.spi.SelectorProvider;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A real selector with the real channels, which shows the RecordingChannels around them. */
final class RecordingSelector extends AbstractSelector {
    private final Selector real;
    private final Set<SelectionKey> keys = ConcurrentHashMap.newKeySet();
    private final Set<SelectionKey> selected = new LinkedHashSet<>();

    RecordingSelector(SelectorProvider provider, Selector real) {
        super(provider);
        this.real = real;
    }

    @Override
    protected SelectionKey register(AbstractSelectableChannel channel, int operations, Object attachment) {
        Key key = new Key(channel, ((RecordingChannel) channel).registerReal(real, operations));
        key.real.attach(key);
        key.attach(attachment);
        keys.add(key);
        return key;
    }

    @Override
    public Set<SelectionKey> keys() {
        return keys;
    }

    @Override
    public Set<SelectionKey> selectedKeys() {
        return selected;
    }

    @Override
    public int selectNow() throws IOException {
        forgetCancelled();
        real.selectNow();
        return collect();
    }

    @Override
    public int select(long timeout) throws IOException {
        forgetCancelled();
        Context.setSelects();
        real.select(timeout);
        return collect();
    }

    @Override
    public int select() throws IOException {
        return select(0);
    }

    @Override
    public Selector wakeup() {
        real.wakeup();
        return this;
    }

    @Override
    protected void implCloseSelector() throws IOException {
        real.close();
        forgetCancelled();
    }

    private int collect() {
        forgetCancelled();
        for (SelectionKey key : real.selectedKeys()) {
            selected.add((SelectionKey) key.attachment());
        }
        int found = real.selectedKeys().size();
        real.selectedKeys().clear();
        return found;
    }

    private void forgetCancelled() {
        Set<SelectionKey> cancelled = cancelledKeys();
        synchronized (cancelled) {
            for (SelectionKey key : cancelled) {
                ((Key) key).real.cancel();
                keys.remove(key);
                selected.remove(key);
                deregister((Key) key);
            }
            cancelled.clear();
        }
    }

    private final class Key extends AbstractSelectionKey {
        private final SelectableChannel channel;
        private final SelectionKey real;

        Key(SelectableChannel channel, SelectionKey real) {
            this.channel = channel;
            this.real = real;
        }

        @Override
        public SelectableChannel channel() {
            return channel;
        }

        @Override
        public Selector selector() {
            return RecordingSelector.this;
        }

        @Override
        public int interestOps() {
            return real.interestOps();
        }

        @Override
        public SelectionKey interestOps(int operations) {
            real.interestOps(operations);
            return this;
        }

        @Override
        public int readyOps() {
            return real.readyOps();
        }
    }
}
