--@ published AS SELECT * FROM l_commitments WHERE UNTIL(published_on)
--@ decided AS SELECT * FROM l_star_rating s WHERE s.final_star <> '' AND BY(s.publicised_on) AND NOT EXISTS (SELECT 1 FROM l_star_rating n WHERE n.org = s.org AND n.subject_kind = s.subject_kind AND n.member_name = s.member_name AND n.final_star <> '' AND BY(n.publicised_on) AND CASE WHEN n.period LIKE '%-Q%' THEN substr(n.period, 7) + 0 ELSE 5 END > CASE WHEN s.period LIKE '%-Q%' THEN substr(s.period, 7) + 0 ELSE 5 END)
--@ starred AS SELECT d.* FROM decided d JOIN org o ON o.org = d.org WHERE d.subject_kind = 'organisation'
--= 1 应承诺数(党组织)
SELECT ru, org, 1 AS v FROM org
--= 2 已承诺数
SELECT DISTINCT p.ru, p.org, 1 AS v FROM published p JOIN org o ON o.org = p.org WHERE p.subject_kind = 'organisation'
--= 3 承诺率 = 2 / 1
--= 4 应承诺数(党员): normal, neither lost nor floating out
SELECT ru, org, 1 AS v FROM due_member
--= 5 已承诺数(党员): of these, members with a published commitment
SELECT ru, org, 1 AS v FROM due_member m WHERE EXISTS (SELECT 1 FROM published p
  WHERE p.org = m.org AND p.subject_kind = 'member' AND p.member_name = m.name)
--= 6 承诺率 = 5 / 4
--= 7 事项总数
SELECT ru, org, 1 AS v FROM published
--= 8 实事承诺
SELECT ru, org, 1 AS v FROM published WHERE commit_kind = 'practical'
--= 9 已到期数
SELECT ru, org, 1 AS v FROM published WHERE UNTIL(due_on)
--= 10 已兑现数
SELECT ru, org, 1 AS v FROM published WHERE UNTIL(due_on) AND fulfilment = 'fulfilled' AND BY(fulfilled_on)
--= 11 兑现率 = 10 / 9
--= x1
SELECT ru, org, 1 AS v FROM published WHERE satisfaction IN ('satisfied', 'basic')
--= x2
SELECT ru, org, 1 AS v FROM published WHERE satisfaction <> ''
--= 12 评诺满意率 = x1 / x2
--= 13 五星: the latest decided star of each active organisation
SELECT ru, org, 1 AS v FROM starred WHERE final_star = '5'
--= 14 四星
SELECT ru, org, 1 AS v FROM starred WHERE final_star = '4'
--= 15 三星
SELECT ru, org, 1 AS v FROM starred WHERE final_star = '3'
--= 16 二星
SELECT ru, org, 1 AS v FROM starred WHERE final_star = '2'
--= 17 一星及以下
SELECT ru, org, 1 AS v FROM starred WHERE final_star IN ('0', '1')
--= 18 未评: active without a decided star
--! star_rating
SELECT ru, org, 1 AS v FROM org o WHERE NOT EXISTS (SELECT 1 FROM starred s WHERE s.org = o.org)
--= 19 参评数
SELECT ru, org, 1 AS v FROM decided WHERE subject_kind = 'member'
--= 20 五星(党员)
SELECT ru, org, 1 AS v FROM decided WHERE subject_kind = 'member' AND final_star = '5'
