/* @lake
kind: full
description: "flights and delays of each airport and day"
columns:
  flight_date: {type: date}
  flights:     {type: bigint}
  avg_delay:   {type: double, doc: "minutes"}
checks:
  - unique: {columns: [flight_date, iata]}
@lake */
WITH airports AS (
  SELECT iata, city, state FROM bronze.airports WHERE dt = (SELECT max(dt) FROM bronze.airports)
)
SELECT f.flight_date, f.origin AS iata, a.city, a.state, count(*) AS flights, avg(f.delay_min) AS avg_delay,
       count(*) FILTER (WHERE f.delay_min >= 15) AS late_flights
FROM silver.flights f LEFT JOIN airports a ON a.iata = f.origin
GROUP BY ALL;
