package simctl;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** The head of a message as it goes over the wire: first line and header fields. RFC 9112, section 2.1. */
final class Head {
    private static final String END = "\r\n\r\n";
    private static final int LONGEST = 1 << 16;

    private final StringBuilder text = new StringBuilder();
    private boolean complete;

    static Head of(ByteBuffer bytes) {
        Head head = new Head();
        head.add(bytes);
        return head;
    }

    /** Takes bytes as they come; true when they complete the head. Interim responses (1xx) are passed over. */
    boolean add(ByteBuffer bytes) {
        if (complete || text.length() > LONGEST) {
            return false;
        }
        text.append(StandardCharsets.ISO_8859_1.decode(bytes));
        for (int end = text.indexOf(END); end >= 0 && !complete; end = text.indexOf(END)) {
            if (text.indexOf("HTTP/") == 0 && status() / 100 == 1) {
                text.delete(0, end + END.length());
            } else {
                text.setLength(end);
                complete = true;
            }
        }
        return complete;
    }

    /** Of a response; 0 where there should be one and is not. */
    int status() {
        String[] words = text.substring(0, Math.min(text.length(), 20)).split("[ \r]");
        return words.length > 1 && words[1].matches("[0-9]{3}") ? Integer.parseInt(words[1]) : 0;
    }

    Map<String, String> headers() {
        Map<String, String> headers = new LinkedHashMap<>();
        String[] lines = text.toString().split("\r\n");
        for (int number = 1; number < lines.length; number++) {
            String[] field = lines[number].split(":", 2);
            Exchange.addHeader(headers, field[0], field.length == 2 ? field[1].strip() : "");
        }
        return headers;
    }
}
