import java.io.IOException;
import java.time.ZoneId;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;

/** Drains the topic of ticks into bench.trades and, if BENCH_REDIS is set, the last one of each symbol into Redis. */
public final class Drain {
  private static final int BATCH_ROWS = 5000;

  /** No connector for Redis is published for this version of Flink. Pipelined, the last value per key of a batch. */
  public static final class LastValues implements Sink<Row> {
    private final String address;

    LastValues(String address) {
      this.address = address;
    }

    @Override
    public SinkWriter<Row> createWriter(WriterInitContext context) {
      return new Writer(new Jedis(address));
    }
  }

  private static final class Writer implements SinkWriter<Row> {
    private final Jedis redis;
    private final Map<String, String> last = new HashMap<>();
    private int rows;

    Writer(Jedis redis) {
      this.redis = redis;
    }

    @Override
    public void write(Row row, Context context) throws IOException {
      String value = "{\"ts\":\"" + row.getField(0) + "\",\"price\":" + row.getField(3) + ",\"size\":" + row.getField(4) + "}";
      last.put("flink:" + row.getField(1), value);
      rows += 1;
      if (rows == BATCH_ROWS) {
        flush(false);
      }
    }

    @Override
    public void flush(boolean atTheEnd) {
      if (last.isEmpty()) {
        return;
      }
      Pipeline pipeline = redis.pipelined();
      last.forEach(pipeline::set);
      pipeline.sync();
      last.clear();
      rows = 0;
    }

    @Override
    public void close() {
      redis.close();
    }
  }

  private static String variable(String name) {
    String value = System.getenv(name);
    if (value == null) {
      throw new IllegalStateException(name + " is not set");
    }
    return value;
  }

  private static StreamExecutionEnvironment environment() {
    Configuration settings = new Configuration();
    settings.setString("execution.checkpointing.interval", "1 s");
    settings.setString("execution.checkpointing.mode", "AT_LEAST_ONCE");
    settings.setString("execution.checkpointing.storage", "filesystem");
    settings.setString("execution.checkpointing.dir", "file://" + variable("BENCH_CHECKPOINTS"));
    settings.setString("pipeline.object-reuse", "true");
    settings.setString("taskmanager.numberOfTaskSlots", "2");
    settings.setString("rest.port", "0");
    settings.setString("rest.bind-port", "0");
    settings.setString("restart-strategy.type", "fixed-delay");
    settings.setString("restart-strategy.fixed-delay.attempts", "1000");
    settings.setString("restart-strategy.fixed-delay.delay", "1 s");
    return StreamExecutionEnvironment.createLocalEnvironment(2, settings);
  }

  private static String options(Map<String, String> options) {
    StringBuilder text = new StringBuilder();
    options.forEach((key, value) ->
        text.append(text.length() == 0 ? "" : ", ").append("'" + key + "'='" + value.replace("'", "''") + "'"));
    return text.toString();
  }

  public static void main(String[] arguments) throws Exception {
    StreamExecutionEnvironment environment = environment();
    StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
    tables.getConfig().setLocalTimeZone(ZoneId.of("UTC"));
    String others = "symbol STRING, venue STRING, price DOUBLE, `size` DOUBLE, side STRING, trade_id BIGINT";
    Map<String, String> topic = new HashMap<>();
    topic.put("connector", "kafka");
    topic.put("topic", variable("BENCH_TOPIC"));
    topic.put("properties.bootstrap.servers", variable("BENCH_KAFKA"));
    topic.put("properties.group.id", variable("BENCH_GROUP"));
    topic.put("properties.auto.offset.reset", "earliest");
    topic.put("properties.max.poll.records", String.valueOf(BATCH_ROWS));
    topic.put("scan.startup.mode", "group-offsets");
    topic.put("format", "json");
    topic.put("json.timestamp-format.standard", "ISO-8601");
    tables.executeSql("CREATE TABLE ticks (ts TIMESTAMP_LTZ(6), " + others + ") WITH (" + options(topic) + ")");
    Map<String, String> table = new HashMap<>();
    table.put("connector", "jdbc");
    table.put("url", variable("BENCH_JDBC"));
    table.put("username", variable("BENCH_USER"));
    table.put("password", variable("BENCH_PASSWORD"));
    table.put("table-name", "bench.trades");
    table.put("sink.buffer-flush.max-rows", String.valueOf(BATCH_ROWS));
    table.put("sink.buffer-flush.interval", "100ms");
    tables.executeSql("CREATE TABLE trades (ts TIMESTAMP(6), " + others + ") WITH (" + options(table) + ")");
    String rows = "SELECT CAST(ts AS TIMESTAMP(6)) AS ts, symbol, venue, price, `size`, side, trade_id FROM ticks";
    String redis = System.getenv("BENCH_REDIS");
    if (redis == null) {
      tables.executeSql("INSERT INTO trades " + rows).await();
      return;
    }
    // One source for both: two in one group would move each other's offsets.
    DataStream<Row> stream = tables.toDataStream(tables.sqlQuery(rows));
    stream.sinkTo(new LastValues(redis));
    tables.createTemporaryView("shared", stream);
    tables.createStatementSet().addInsertSql("INSERT INTO trades SELECT * FROM shared").attachAsDataStream();
    environment.execute("drain");
  }
}
