--@ u AS SELECT *, unit_kind AS code, CASE WHEN AFTER(formed_on) THEN 'none' ELSE formation_mode END AS mode, NOT EXISTS (SELECT 1 FROM org_any o WHERE o.full_name = covering_org AND o.org NOT IN (SELECT org FROM org)) AS lives FROM l_units WHERE unit_kind IN ('nonpublic', 'social') AND operating = 'yes' AND unit_status = 'active' AND BY(registered_on)
--@ d1 AS SELECT * FROM u WHERE (unit_kind = 'nonpublic' AND above_scale = 'yes') OR formal_members + 0 >= 3
--@ d2 AS SELECT * FROM u WHERE party_members + 0 >= 1
--= 1 单位总数
SELECT ru, org, 1 AS v, code FROM u
--= 2 规模以上非公企业
SELECT ru, org, 1 AS v, code FROM u WHERE unit_kind = 'nonpublic' AND above_scale = 'yes'
--= 3 正式党员3名以上
SELECT ru, org, 1 AS v, code FROM u WHERE formal_members + 0 >= 3
--= 4 有党员
SELECT ru, org, 1 AS v, code FROM d2
--= 5 应单独组建数: each unit once
SELECT ru, org, 1 AS v, code FROM d1
--= 6 已单独组建数
SELECT ru, org, 1 AS v, code FROM d1 WHERE mode = 'standalone'
--= 7 单独组建率 = 6 / 5
--= 8 规模以上已单独组建数
SELECT ru, org, 1 AS v, code FROM u WHERE unit_kind = 'nonpublic' AND above_scale = 'yes' AND mode = 'standalone'
--= 9 单独组建率 = 8 / 2
--= 10 3名以上已单独组建数
SELECT ru, org, 1 AS v, code FROM u WHERE formal_members + 0 >= 3 AND mode = 'standalone'
--= 11 单独组建率 = 10 / 3
--= 12 应覆盖数
SELECT ru, org, 1 AS v, code FROM d2
--= 13 已覆盖数: and the organisation that covers them is active, if it is named
SELECT ru, org, 1 AS v, code FROM d2 WHERE mode NOT IN ('none', '') AND lives
--= 14 单独
SELECT ru, org, 1 AS v, code FROM d2 WHERE mode = 'standalone' AND lives
--= 15 联合
SELECT ru, org, 1 AS v, code FROM d2 WHERE mode = 'joint' AND lives
--= 16 区域(行业)
SELECT ru, org, 1 AS v, code FROM d2 WHERE mode IN ('regional', 'industry') AND lives
--= 17 挂靠
SELECT ru, org, 1 AS v, code FROM d2 WHERE mode = 'attached' AND lives
--= 18 覆盖率 = 13 / 12
--= 19 未建组织单位数
SELECT ru, org, 1 AS v, code FROM u WHERE mode = 'none'
--= 20 已工作覆盖数
SELECT ru, org, 1 AS v, code FROM u WHERE mode = 'none' AND (instructor_name <> '' OR has_union = 'yes' OR has_youth_league = 'yes')
--= 21 工作覆盖率 = 20 / 19
--= x1 covered at all
SELECT ru, org, 1 AS v, code FROM u WHERE mode NOT IN ('none', '') AND lives
--= 22 全口径组织覆盖率 = x1 / 1
