--@ out_at AS SELECT f.*, COALESCE(h.parent, f.ru) AS home_ru, COALESCE(h.id, f.org) AS at FROM outflow f LEFT JOIN unit h ON h.name = f.home_org
--= 1 流动党组织合计
SELECT ru, org, 1 AS v FROM org WHERE field = 'floating'
--= 2 党委
SELECT ru, org, 1 AS v FROM org WHERE field = 'floating' AND org_type IN ('party_committee', 'working_committee')
--= 3 党总支
SELECT ru, org, 1 AS v FROM org WHERE field = 'floating' AND org_type = 'general_branch'
--= 4 党支部
SELECT ru, org, 1 AS v FROM branch WHERE field = 'floating'
--= 5 流出总数: at the home side
SELECT home_ru AS ru, at AS org, 1 AS v FROM out_at
--= 6 6个月内有联系
SELECT home_ru AS ru, at AS org, 1 AS v FROM out_at WHERE UNTIL(last_contact_on) AND date(last_contact_on, '+6 months') >= $D
--= 7 联系率 = 6 / 5
--= 8 纳入流动党组织
SELECT home_ru AS ru, at AS org, 1 AS v FROM out_at WHERE floating_org <> ''
--= 9 纳管率 = 8 / 5
--= 10 持活动证
SELECT home_ru AS ru, at AS org, 1 AS v FROM out_at WHERE certificate_no <> '' AND BY(certificate_on)
--= 11 参加组织生活
SELECT home_ru AS ru, at AS org, 1 AS v FROM out_at WHERE attends_org_life = 'yes'
--= 12 流入总数
SELECT ru, org, 1 AS v FROM inflow
--= 13 已编入支部
SELECT ru, org, 1 AS v FROM inflow WHERE host_org <> ''
--= 14 技能培训
SELECT ru, org, 1 AS v FROM l_floating_members WHERE BY(flow_on) AND service_given LIKE '% skill %'
--= 15 就业推荐
SELECT ru, org, 1 AS v FROM l_floating_members WHERE BY(flow_on) AND service_given LIKE '% job %'
--= 16 法律维权
SELECT ru, org, 1 AS v FROM l_floating_members WHERE BY(flow_on) AND service_given LIKE '% legal %'
--= 17 回乡创业
SELECT ru, org, 1 AS v FROM l_floating_members WHERE return_intent = 'startup' AND UNTIL(returned_on)
--= 18 回乡任职
SELECT ru, org, 1 AS v FROM l_floating_members WHERE return_intent = 'post' AND UNTIL(returned_on)
