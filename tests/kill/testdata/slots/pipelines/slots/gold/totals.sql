/* @lake
kind: full
@lake */
SELECT slot, count(*) AS readings, CAST(sum(reading) AS BIGINT) AS total FROM silver.readings GROUP BY ALL;
