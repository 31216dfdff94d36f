package simctl;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A client node: commands on standard input, carried out beside each other with a library; nodes/README.md. */
final class Client {
    private final Library library;
    private final Map<String, Library.Session> sessions = new LinkedHashMap<>();
    private final List<Thread> atWork = new ArrayList<>();

    private Client(Library library) {
        this.library = library;
    }

    /** Say `ready`, then carry out commands until standard input ends. */
    static void serve(String kind, Library library) throws IOException {
        Client client = new Client(library);
        Map<String, Object> ready = new LinkedHashMap<>();
        ready.put("kind", kind);
        ready.put("pid", ProcessHandle.current().pid());
        Events.emit("ready", ready);
        FileInputStream input = new FileInputStream(FileDescriptor.in);
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(input, StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                client.carryOut(line);
            }
        }
        client.atWork.forEach(Pacing::join);
        Runtime.getRuntime().exit(0); // libraries have threads of their own
    }

    /** Standard error has one line, and the process ends. */
    static void fail(String kind, int status, String message) {
        System.err.println(kind + ": " + message);
        Runtime.getRuntime().halt(status);
    }

    /** Begin a command, in the order in which they came; what takes time goes on beside those after it. */
    private void carryOut(String line) {
        Map<String, Object> done = new LinkedHashMap<>();
        done.put("id", null);
        Runnable work;
        try {
            if (!(Json.read(line) instanceof Map<?, ?> command)) {
                throw new IllegalArgumentException("a command is one JSON object");
            }
            done.put("id", command.get("id"));
            work = begin(command);
        } catch (IllegalArgumentException wrong) {
            done.put("error", wrong.getMessage());
            Events.emit("done", done);
            return;
        }
        Thread thread = new Thread(() -> {
            work.run();
            Events.emit("done", done);
        });
        thread.start();
        atWork.removeIf(each -> !each.isAlive());
        atWork.add(thread);
    }

    /** Do what later commands build on; returns the rest of the command. */
    private Runnable begin(Map<?, ?> raw) {
        for (Object name : raw.keySet()) {
            if (!Command.FIELDS.contains(name)) {
                throw new IllegalArgumentException(
                        "unknown field '" + name + "'; there are: " + String.join(", ", Command.FIELDS));
            }
        }
        String verb = String.valueOf(raw.get("do"));
        return switch (verb) {
            case "request" -> request(Command.read(raw));
            case "close" -> close(Command.text(raw, "session", null));
            default -> throw new IllegalArgumentException(
                    "unknown command '" + verb + "'; there are: request, close");
        };
    }

    private Runnable close(String name) {
        Library.Session session = sessions.remove(name);
        if (session == null) {
            String open = sessions.isEmpty() ? "none" : String.join(", ", sessions.keySet());
            throw new IllegalArgumentException("no session '" + name + "' is open; open are: " + open);
        }
        return () -> {
            session.close();
            library.closed();
        };
    }

    private Runnable request(Command command) {
        library.check(command);
        String name = command.session();
        Library.Session session = name == null ? null : sessions.computeIfAbsent(name, new_ -> library.open());
        return () -> work(command, session);
    }

    private void work(Command command, Library.Session session) {
        Pacing.pace(command, n -> send(command, session, n));
        if (session == null) {
            library.closed();
        }
    }

    /** Without a session each request has one of its own. */
    private void send(Command command, Library.Session session, int n) {
        Call call = new Call(command, n);
        if (session != null) {
            perform(session, call);
            return;
        }
        try (Library.Session own = library.open()) {
            perform(own, call);
        }
    }

    private static void perform(Library.Session session, Call call) {
        long bytes = 0;
        Throwable failure = null;
        try {
            bytes = session.perform(call);
        } catch (Exception failed) {
            failure = failed;
        }
        call.report(bytes, failure);
    }
}
