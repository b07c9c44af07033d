/* @lake
kind: full
description: "routes by number of flights"
columns:
  place: {type: bigint}
@lake */
SELECT origin, destination, count(*) AS flights, avg(delay_min) AS avg_delay, rank() OVER (ORDER BY count(*) DESC) AS place
FROM silver.flights
GROUP BY ALL;
