/* @lake
kind: merge
description: "one row per flight, each flight once"
key: [flight_at, origin, destination, delay_min]   # without delay_min, hundreds of real flights would fold into others
sequence_by: [_file_modified, _file, _row]         # the newest row of a key wins
not_stored: [_file_modified, _file, _row]
partition_by: [flight_date]
columns:
  flight_at:   {type: timestamp_ntz, doc: "scheduled departure, wall clock at the origin"}
  flight_date: {type: date}
  origin:      {type: string, validate: "required,alphanum,len=3"}
  destination: {type: string, validate: "required,alphanum,len=3"}
  delay_min:   {type: bigint, doc: "minutes late at the destination, negative when early"}
  distance_mi: {type: bigint, validate: "gt=0"}
expect:
  delay_sane: {sql: "delay_min BETWEEN -120 AND 1440", on_fail: quarantine}
  half_day:   {sql: "delay_min BETWEEN -60 AND 720", on_fail: warn}
quarantine: {max_ratio: 2%, max_rows: 10000}
@lake */
SELECT date AS flight_at, CAST(date AS DATE) AS flight_date, upper(trim(origin)) AS origin,
       upper(trim(destination)) AS destination, delay AS delay_min, distance AS distance_mi, _file_modified, _file, _row
FROM bronze.flights;
