package simctl;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.ToNumberPolicy;
import com.google.gson.TypeAdapter;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** JSON texts (RFC 8259), by Gson, as String, BigDecimal, Boolean, null, List and Map of such. */
final class Json {
    private static final Gson GSON = new GsonBuilder()
            .serializeNulls()
            .disableHtmlEscaping()
            .setObjectToNumberStrategy(ToNumberPolicy.BIG_DECIMAL)
            .create();
    private static final TypeAdapter<Object> ANY = GSON.getAdapter(Object.class);

    /** A surrogate without its other half: no text of UTF-8 has one, so it stays the escape that it came as. */
    private static final Pattern LONE = Pattern.compile("\\p{Cs}");

    private Json() {}

    /** Throws IllegalArgumentException, which says where, for what is not JSON. */
    static Object read(String text) {
        JsonReader reader = new JsonReader(new StringReader(text));
        try {
            Object value = ANY.read(reader);
            if (reader.peek() != JsonToken.END_DOCUMENT) {
                throw new IllegalArgumentException("not JSON: expected the end at " + reader.getPath());
            }
            return value;
        } catch (IOException | JsonParseException | IllegalStateException | NumberFormatException wrong) {
            throw new IllegalArgumentException("not JSON: " + wrong.getMessage(), wrong);
        }
    }

    /** Of values as read() gives them, and of any Number. */
    static String write(Object value) {
        return LONE.matcher(GSON.toJson(value))
                .replaceAll(lone -> Matcher.quoteReplacement(String.format("\\u%04x", (int) lone.group().charAt(0))));
    }
}
