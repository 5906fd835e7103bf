--@ place AS SELECT * FROM org WHERE field = $FIELD
--@ venue AS SELECT v.* FROM l_venues v JOIN place p ON p.org = v.org
--@ has AS SELECT v.*, CASE WHEN p.division_code = '' THEN p.org ELSE p.division_code END AS village FROM venue v JOIN place p ON p.org = v.org WHERE v.has_venue = 'yes'
--= 1 村(社区)数: one per division code
SELECT ru, min(org) AS org, 1 AS v FROM place GROUP BY ru, CASE WHEN division_code = '' THEN org ELSE division_code END
--= 2 有场所数
SELECT ru, min(org) AS org, 1 AS v FROM has GROUP BY ru, village
--= 3 覆盖率 = 2 / 1
--= 4 达标数
SELECT ru, min(org) AS org, 1 AS v FROM has WHERE standard_met = 'yes' GROUP BY ru, village
--= 5 达标率 = 4 / 1
--= 6 自有
SELECT ru, org, 1 AS v FROM has WHERE ownership = 'own'
--= 7 租借
SELECT ru, org, 1 AS v FROM has WHERE ownership IN ('rent', 'borrow')
--= 8 权属不清
SELECT ru, org, 1 AS v FROM has WHERE ownership = 'unclear'
--= x1
SELECT ru, org, area_m2 + 0 AS v FROM has
--= 9 平均面积 = x1 / 2
--= 10 远程教育站点
SELECT ru, org, 1 AS v FROM venue WHERE distance_edu = 'yes'
--= 11 新建
SELECT ru, org, 1 AS v FROM venue WHERE plan_build = 'new'
--= 12 改扩建
SELECT ru, org, 1 AS v FROM venue WHERE plan_build = 'extend'
--= 13 维修
SELECT ru, org, 1 AS v FROM venue WHERE plan_build = 'repair'
--= 14 计划投资(万元)
SELECT ru, org, invest_plan_wan / 10000.0 AS v FROM venue
--= 15 已完成投资(万元)
SELECT ru, org, invest_done_wan / 10000.0 AS v FROM venue
--= 16 完成率 = 15 / 14
--= 17 无场所数 = 1 - 2
