--@ record AS SELECT * FROM l_assistance_records WHERE UNTIL(given_on) AND YEAR(given_on)
--= 1 认定困难党员
SELECT ru, org, 1 AS v FROM hardship
--= 2 因病
SELECT ru, org, 1 AS v FROM hardship WHERE main_cause = 'illness'
--= 3 因残
SELECT ru, org, 1 AS v FROM hardship WHERE main_cause = 'disability'
--= 4 因灾或事故
SELECT ru, org, 1 AS v FROM hardship WHERE main_cause IN ('disaster', 'accident')
--= 5 因学
SELECT ru, org, 1 AS v FROM hardship WHERE main_cause = 'schooling'
--= 6 年老
SELECT ru, org, 1 AS v FROM hardship WHERE main_cause = 'aged'
--= 7 低收入及其他
SELECT ru, org, 1 AS v FROM hardship WHERE main_cause IN ('low_income', 'other')
--= 8 已帮扶: of the recognised, whoever has a record in the year
SELECT h.ru, h.org, 1 AS v FROM hardship h WHERE EXISTS (SELECT 1 FROM record a WHERE a.org = h.org
  AND (a.member_ref = h.name OR (a.member_ref = '' AND a.name = h.name)))
--= 9 帮扶率 = 8 / 1
--= 10 政治关爱
SELECT ru, org, 1 AS v FROM record WHERE care_kind = 'political'
--= 11 生活关爱
SELECT ru, org, 1 AS v FROM record WHERE care_kind = 'living'
--= 12 发展关爱
SELECT ru, org, 1 AS v FROM record WHERE care_kind = 'development'
--= 13 帮扶资金(万元)
SELECT ru, org, amount_yuan / 10000.0 AS v FROM record
--= 14 县救助资金
SELECT ru, org, amount_yuan / 10000.0 AS v FROM record WHERE fund_source = 'relief_fund'
--= 15 结亲帮扶对数
SELECT ru, org, 1 AS v FROM l_paired_support WHERE pair_kind = 'leader_kin' AND BY(from_date) AND (status = 'active' OR (status = 'ended' AND AFTER(to_date)))
--= 16 脱困人数
SELECT ru, org, 1 AS v FROM l_hardship_members WHERE recognised = 'recognised' AND UNTIL(exited_on) AND YEAR(exited_on)
