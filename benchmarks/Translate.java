// Rendering, translation and splitting as OHDSI's tools do it before a database sees a statement. Prints "id,seconds" a cohort.
// Run with SqlRender.jar on the class path: java -cp SqlRender.jar Translate.java SQL_FOLDER OUT_FOLDER PATTERNS IDS STATS SCHEMA

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.ohdsi.sql.SqlRender;
import org.ohdsi.sql.SqlSplit;
import org.ohdsi.sql.SqlTranslate;

public class Translate {
    static final String[] NAMES = {
        "cdm_database_schema", "vocabulary_database_schema", "target_database_schema", "results_database_schema",
        "target_cohort_table", "target_cohort_id"
    };

    public static void main(String[] args) throws Exception {
        Path in = Path.of(args[0]), out = Path.of(args[1]);
        SqlTranslate.setReplacementPatterns(args[2]);
        List<String> ids = Files.readAllLines(Path.of(args[3]));
        boolean stats = args[4].equals("stats");
        for (String id : ids) {  // once to warm the machine up
            translated(in, id, stats, args[5]);
        }
        for (String id : ids) {
            long begun = System.nanoTime();
            String[] parts = translated(in, id, stats, args[5]);
            double seconds = (System.nanoTime() - begun) / 1e9;
            Files.writeString(out.resolve(id + ".sql"), String.join("\n;;--;;\n", parts));
            System.out.println(id + "," + seconds);
        }
    }

    static String[] translated(Path in, String id, boolean stats, String cdm) throws Exception {
        String sql = Files.readString(in.resolve(id + ".sql"));
        if (!stats) {  // the published SQL was made with generateStats = 1: both of its blocks are switched off
            sql = sql.replaceAll("\\{1 != 0 & ", "{0 != 0 & ")
                .replaceAll("\\{1 != 0\\}\\?\\{(\\s*-- BEGIN: Censored Stats)", "{0 != 0}?{$1");
        }
        String[] values = {cdm, cdm, "results", "results", "cohort", id};
        String text = SqlTranslate.translateSql(SqlRender.renderSql(sql, NAMES, values), "duckdb", "abcd1234", null);
        return SqlSplit.splitSql(text);
    }
}
